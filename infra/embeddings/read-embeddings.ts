import { open, readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ArtifactStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { parseList } from './image-list.ts';

export interface RejectedImage {
  image: string;
  reason: string;
}

/** An `embeddings` or `embeddingChunk` artefact, opened for reading row by row. */
export interface StoredEmbeddings extends AsyncDisposable {
  id: string;
  /** Sorted; row i * views + v of the vectors is view v of images[i]. */
  images: string[];
  rejected: RejectedImage[];
  views: number;
  dim: number;
  /** All views of `count` pictures from picture `first` on: [count * views, dim], row-major. */
  read(first: number, count: number): Promise<Float32Array>;
}

const Summary = z.object({
  numImages: z.number().int().min(0),
  views: z.number().int().positive(),
  dim: z.number().int().positive(),
});

/** @throws LookalikeError `notFound` | `corruptArtifact` */
export async function openEmbeddings(
  stores: { artifacts: Pick<ArtifactStore, 'get' | 'materialise'> },
  id: string,
): Promise<StoredEmbeddings> {
  const { manifest } = await stores.artifacts.get(id);
  const { numImages, views, dim } = Summary.parse(manifest.summary);
  const [imagesPath, rejectedPath, vectorsPath] = await Promise.all(
    ['images.txt', 'rejected.jsonl', 'vectors.f32'].map((file) => stores.artifacts.materialise(id, file)),
  );
  const images = parseList(await readFile(imagesPath!, 'utf8'));
  const rejected = parseList(await readFile(rejectedPath!, 'utf8')).map((line) => JSON.parse(line) as RejectedImage);
  const bytesPerImage = views * dim * Float32Array.BYTES_PER_ELEMENT;
  const file = await open(vectorsPath!);
  const { size } = await file.stat();
  if (images.length !== numImages || size !== images.length * bytesPerImage) {
    await file.close();
    throw new LookalikeError(
      'corruptArtifact',
      `Expected ${id} to hold ${numImages} pictures in ${numImages * bytesPerImage} bytes, got ${images.length} in ${size}.`,
    );
  }
  return {
    id,
    images,
    rejected,
    views,
    dim,
    async read(first, count) {
      const rows = new Float32Array(count * views * dim);
      const bytes = new Uint8Array(rows.buffer);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, first * bytesPerImage);
      if (bytesRead !== bytes.length) throw new LookalikeError('corruptArtifact', `vectors.f32 of ${id} is cut short.`);
      return rows;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}
