import type { ArtifactStore } from '../../contracts/artifacts.ts';
import { openEmbeddings } from '../embeddings/read-embeddings.ts';

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
  await using stored = await openEmbeddings({ artifacts }, id);
  const { dim, views, images } = stored;
  return {
    dim,
    views,
    vectors: await stored.read(0, images.length),
    rowOf: new Map(images.map((image, row) => [image, row])),
  };
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

/** All views but the plain one of each picture, [images.length * (views - 1), dim], in the order asked. */
export function augmentedFeaturesOf(cached: CachedFeatures, images: readonly string[]): Float32Array {
  const { dim, views, vectors, rowOf } = cached;
  const size = (views - 1) * dim;
  const out = new Float32Array(images.length * size);
  images.forEach((image, i) => {
    const from = (rowOf.get(image)! * views + 1) * dim;
    out.set(vectors.subarray(from, from + size), i * size);
  });
  return out;
}
