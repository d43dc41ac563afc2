import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Artifact, ArtifactStore, Derivation } from '../../contracts/artifacts.ts';
import type { EmbeddingsSummary } from '../../contracts/model.ts';
import { formatList } from './image-list.ts';
import type { ImageList } from './image-list.ts';
import type { RejectedImage } from './read-embeddings.ts';

/** What decides a set of vectors: the model, the pictures and the number of views; not the way they were put together. */
export function embeddingsDerivation(
  kind: 'embeddings' | 'embeddingChunk',
  { model, views, images }: { model: string; views: number; images: string },
): Derivation {
  return { kind, inputs: { model }, config: { views, images }, seed: null };
}

export interface EmbeddingsDraft {
  derivation: Derivation;
  views: number;
  dim: number;
  normalised: boolean;
  /** Sorted. */
  images: ImageList;
  /** Sorted by picture. */
  rejected: readonly RejectedImage[];
  /** Blocks of rows in order; together [images.length * views, dim]. */
  vectors: AsyncIterable<Float32Array> | Iterable<Float32Array>;
}

/** Streams the vectors through a temporary file, so that memory does not grow with the catalogue. */
export async function publishEmbeddings(
  stores: { artifacts: ArtifactStore },
  draft: EmbeddingsDraft,
): Promise<Artifact> {
  const { derivation, views, dim, normalised, images, rejected } = draft;
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-embeddings-'));
  try {
    const path = join(folder, 'vectors.f32');
    const file = await open(path, 'w');
    try {
      for await (const block of draft.vectors) {
        await file.writeFile(new Uint8Array(block.buffer, block.byteOffset, block.byteLength));
      }
    } finally {
      await file.close();
    }
    const summary: EmbeddingsSummary = {
      numImages: images.length,
      numRejected: rejected.length,
      views,
      dim,
      normalised,
    };
    return await stores.artifacts.publish({
      ...derivation,
      summary: { ...summary },
      metrics: {},
      files: {
        'vectors.f32': { path },
        'images.txt': { bytes: formatList(images) },
        'rejected.jsonl': { bytes: Buffer.from(rejected.map((row) => `${JSON.stringify(row)}\n`).join('')) },
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
