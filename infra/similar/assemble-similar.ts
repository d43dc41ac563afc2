import { join } from 'node:path';
import type { Artifact } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { SimilarConfig, SimilarSummary } from '../../contracts/similar.ts';
import { throwIfAborted } from '../../lib/ann/rows.ts';
import { ROWS_FILE, withTempFolder } from '../shards/files.ts';
import { runHeavyTask } from '../shards/heavy-task.ts';
import type { ShardStores } from '../shards/load-shard.ts';
import type { AssembleTaskInput, AssembleTaskOutput } from './assemble-task.ts';
import { chunkDerivation, chunksOf, indexedItems, lookedFor, nearDuplicateScore, similarDerivation } from './chunks.ts';
import { NEIGHBOURS_FILE } from './find-chunk.ts';
import { SIMILAR_FILE } from './similar-file.ts';

export interface SimilarPlan {
  /** The finished artefact, if there is one. */
  similar: string | null;
  numChunks: number;
  numItems: number;
}

/** @throws LookalikeError `notFound` | `invalidInput` */
export async function planSimilar(stores: ShardStores, index: string, config: SimilarConfig): Promise<SimilarPlan> {
  const { sizes, metric } = await indexedItems(stores.artifacts, index);
  const made = await stores.artifacts.find(similarDerivation(index, config, nearDuplicateScore(config, metric)));
  return {
    similar: made?.id ?? null,
    numChunks: chunksOf(sizes, config.chunkItems).length,
    numItems: sizes.reduce((sum, size) => sum + size, 0),
  };
}

/**
 * Takes near-duplicates together and writes one list for each item, from finished chunks.
 * @throws LookalikeError `notFound` when a chunk is missing | `corruptArtifact` | `cancelled`
 */
export async function assembleSimilar(input: {
  stores: ShardStores;
  index: string;
  config: SimilarConfig;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}): Promise<Artifact> {
  const { stores, index, config, signal, onProgress } = input;
  const { artifacts } = stores;
  const { shards, sizes, metric } = await indexedItems(artifacts, index);
  const threshold = nearDuplicateScore(config, metric);
  const derivation = similarDerivation(index, config, threshold);
  const made = await artifacts.find(derivation);
  if (made !== undefined) return made;

  const chunks: AssembleTaskInput['chunks'] = [];
  for (const [i, { from, to }] of chunksOf(sizes, config.chunkItems).entries()) {
    throwIfAborted(signal);
    const chunk = await artifacts.find(chunkDerivation(index, config, i));
    if (chunk === undefined) {
      throw new LookalikeError('notFound', `Expected chunk ${i} of the neighbours of ${index}; run it again.`);
    }
    chunks.push({ path: await artifacts.materialise(chunk.id, NEIGHBOURS_FILE), numItems: to - from });
  }
  const rowsPaths = await Promise.all(shards.map((id) => artifacts.materialise(id, ROWS_FILE)));
  return withTempFolder(async (folder) => {
    const outPath = join(folder, SIMILAR_FILE);
    const { k, withinCategory } = config;
    const task: AssembleTaskInput = {
      ...{ chunks, rowsPaths, lookedFor: lookedFor(config), k },
      ...{ nearDuplicateScore: threshold, outPath },
    };
    const counts = await runHeavyTask<AssembleTaskOutput>('../similar/assemble-task', task, signal, onProgress);
    const summary: SimilarSummary = { k, withinCategory, nearDuplicateScore: threshold, ...counts };
    return artifacts.publish({
      ...derivation,
      summary: summary as unknown as JsonObject,
      metrics: {},
      files: { [SIMILAR_FILE]: { path: outPath } },
    });
  });
}
