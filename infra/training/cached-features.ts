import { readFile } from 'node:fs/promises';
import type { ArtifactStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { EmbeddingsSummary } from '../../contracts/model.ts';

/** An embeddings artefact in memory. Picture i owns rows i * views … i * views + views - 1 of `vectors`. */
export interface CachedFeatures {
  dim: number;
  views: number;
  vectors: Float32Array;
  /** SHA-256 of a picture -> i. Pictures that could not be decoded are absent. */
  rowOf: ReadonlyMap<string, number>;
}

/** @throws LookalikeError `notFound` | `corruptArtifact` */
export async function loadCachedFeatures(
  artifacts: Pick<ArtifactStore, 'get' | 'materialise'>,
  id: string,
): Promise<CachedFeatures> {
  const { manifest } = await artifacts.get(id);
  const { dim, views, numImages } = manifest.summary as unknown as EmbeddingsSummary;
  const bytes = await readFile(await artifacts.materialise(id, 'vectors.f32'));
  const images = (await readFile(await artifacts.materialise(id, 'images.txt'), 'utf8')).split('\n').filter(Boolean);
  const expected = images.length * views * dim * Float32Array.BYTES_PER_ELEMENT;
  if (images.length !== numImages || bytes.byteLength !== expected) {
    throw new LookalikeError(
      'corruptArtifact',
      `Expected ${id} to hold ${numImages} pictures in ${expected} bytes, got ${images.length} in ${bytes.byteLength}.`,
    );
  }
  // A Buffer may sit at any offset of a shared pool; a copy is aligned.
  const vectors = new Float32Array(new Uint8Array(bytes).buffer);
  return { dim, views, vectors, rowOf: new Map(images.map((image, row) => [image, row])) };
}

/** The first `views` views of each picture, [images.length * views, dim], in the order asked. */
export function featuresOf(cached: CachedFeatures, images: readonly string[], views: number): Float32Array {
  const { dim, vectors, rowOf } = cached;
  const out = new Float32Array(images.length * views * dim);
  images.forEach((image, i) => {
    const from = rowOf.get(image)! * cached.views * dim;
    out.set(vectors.subarray(from, from + views * dim), i * views * dim);
  });
  return out;
}
