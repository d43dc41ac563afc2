import { join } from 'node:path';
import type { IndexSpec, ShardSummary } from '../../contracts/ann.ts';
import type { Artifact, Derivation } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { INDEX_FILE_VERSION } from '../../lib/ann/index.ts';
import type { BuildTaskInput, BuildTaskOutput } from './build-task.ts';
import { INDEX_FILE, ROWS_FILE, ROWS_VERSION, withTempFolder } from './files.ts';
import { runHeavyTask } from './heavy-task.ts';
import type { ShardStores } from './load-shard.ts';
import { fetchSnapshotVectors } from './snapshot-vectors.ts';

export interface BuildShardInput {
  stores: ShardStores;
  /** Artefact ids: the items, their vectors, and the model that made the vectors. */
  snapshot: string;
  embeddings: string;
  model: string;
  spec: IndexSpec;
  /** 0-based, of `numShards`. */
  shard: number;
  numShards: number;
  signal?: AbortSignal;
  /** Rows inserted so far, of all. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * Builds and publishes one shard, or finds it already made. Items belong to shards by `shardOf`; rows ascend by id; an item
 * whose picture was rejected has no row and is counted in the metric `numLeftOut`. The bytes depend on the inputs only.
 * @throws LookalikeError `notFound` | `corruptArtifact` | `invalidInput` | `cancelled`
 */
export async function buildShard(input: BuildShardInput): Promise<Artifact> {
  const { stores, snapshot, embeddings, model, spec, shard, numShards, signal, onProgress } = input;
  if (!Number.isInteger(numShards) || numShards < 1 || !Number.isInteger(shard) || shard < 0 || shard >= numShards) {
    throw new LookalikeError('invalidInput', `Expected shard 0..numShards-1, got shard ${shard} of ${numShards}.`);
  }
  const derivation: Derivation = {
    kind: 'shard',
    inputs: { snapshot, embeddings, model },
    config: { spec: spec, shard, numShards, format: INDEX_FILE_VERSION, rows: ROWS_VERSION },
    seed: 'seed' in spec ? spec.seed : null,
  };
  const made = await stores.artifacts.find(derivation);
  if (made !== undefined) return made;

  const vectors = await fetchSnapshotVectors(stores, snapshot, embeddings);
  return withTempFolder(async (folder) => {
    const indexPath = join(folder, INDEX_FILE);
    const rowsPath = join(folder, ROWS_FILE);
    const task: BuildTaskInput = { ...vectors, indexPath, rowsPath, spec, shard, numShards };
    const { size, numLeftOut } = await runHeavyTask<BuildTaskOutput>('build-task', task, signal, onProgress);
    const summary: ShardSummary = { spec, dim: vectors.dim, size, shard, numShards };
    return stores.artifacts.publish({
      ...derivation,
      summary: summary as unknown as JsonObject,
      metrics: { numLeftOut },
      files: { [INDEX_FILE]: { path: indexPath }, [ROWS_FILE]: { path: rowsPath } },
    });
  });
}
