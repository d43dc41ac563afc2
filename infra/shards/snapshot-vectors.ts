import type { FileHandle } from 'node:fs/promises';
import { LookalikeError } from '../../contracts/errors.ts';
import type { EmbeddingsSummary } from '../../contracts/model.ts';
import type { ShardStores } from './load-shard.ts';

/** The items of a snapshot and their vectors, as threads read them: paths are local and verified. */
export interface SnapshotVectors {
  itemsPath: string;
  imagesPath: string;
  vectorsPath: string;
  /** Shape of the vectors file: [numImages * views, dim]. */
  dim: number;
  views: number;
}

/** @throws LookalikeError `notFound` | `corruptArtifact` | `unavailable` */
export async function fetchSnapshotVectors(
  { artifacts }: Pick<ShardStores, 'artifacts'>,
  snapshot: string,
  embeddings: string,
): Promise<SnapshotVectors> {
  const { manifest } = await artifacts.get(embeddings);
  const { dim, views } = manifest.summary as unknown as EmbeddingsSummary;
  const [itemsPath, imagesPath, vectorsPath] = await Promise.all([
    artifacts.materialise(snapshot, 'items.jsonl'),
    artifacts.materialise(embeddings, 'images.txt'),
    artifacts.materialise(embeddings, 'vectors.f32'),
  ]);
  return { itemsPath, imagesPath, vectorsPath, dim, views };
}

/**
 * Fills `vector` with view 0, the plain picture, of line `image` of the images file. Row by row: the file may be larger than memory.
 * @param owner whose it is, for the error
 * @throws LookalikeError `corruptArtifact`
 */
export async function readPlainVector(
  file: FileHandle,
  image: number,
  views: number,
  vector: Float32Array,
  owner: string,
): Promise<void> {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, image * views * bytes.length);
  if (bytesRead === bytes.length) return;
  throw new LookalikeError(
    'corruptArtifact',
    `Expected the embeddings to hold the vector of ${owner}, and they end before it.`,
  );
}
