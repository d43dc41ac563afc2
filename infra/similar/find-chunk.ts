import { join } from 'node:path';
import type { Artifact } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { SimilarConfig } from '../../contracts/similar.ts';
import { withTempFolder } from '../shards/files.ts';
import { runTaskProcess } from '../shards/heavy-task.ts';
import { fetchShard } from '../shards/load-shard.ts';
import type { ShardStores } from '../shards/load-shard.ts';
import type { ChunkTaskInput } from './chunk-task.ts';
import { chunkDerivation, chunksOf, indexedItems, lookedFor } from './chunks.ts';

export const NEIGHBOURS_FILE = 'neighbours.bin';

export interface FindChunkInput {
  stores: ShardStores;
  index: string;
  config: SimilarConfig;
  /** 0-based. */
  chunk: number;
  signal?: AbortSignal;
  /** Searches done, of one for each item and shard. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * The nearest neighbours of one chunk's items in the whole index, as an artefact, or found already made.
 * @throws LookalikeError `notFound` | `corruptArtifact` | `invalidInput` | `cancelled`
 */
export async function findSimilarChunk(input: FindChunkInput): Promise<Artifact> {
  const { stores, index, config, signal, onProgress } = input;
  const derivation = chunkDerivation(index, config, input.chunk);
  const made = await stores.artifacts.find(derivation);
  if (made !== undefined) return made;
  const { shards, sizes } = await indexedItems(stores.artifacts, index);
  const chunks = chunksOf(sizes, config.chunkItems);
  const chunk = chunks[input.chunk];
  if (chunk === undefined) {
    throw new LookalikeError('invalidInput', `Expected a chunk below ${chunks.length}, got ${input.chunk}.`);
  }
  const files = await Promise.all(shards.map((id) => fetchShard(stores, id)));
  return withTempFolder(async (folder) => {
    const outPath = join(folder, NEIGHBOURS_FILE);
    const { withinCategory, exact } = config;
    const task: ChunkTaskInput = { shards: files, chunk, k: lookedFor(config), withinCategory, exact, outPath };
    const { numItems } = await runTaskProcess<{ numItems: number }>('../similar/chunk-task', task, signal, onProgress);
    return stores.artifacts.publish({
      ...derivation,
      summary: { ...chunk, k: task.k, numItems },
      metrics: {},
      files: { [NEIGHBOURS_FILE]: { path: outPath } },
    });
  });
}
