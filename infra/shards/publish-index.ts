import type { IndexSpec } from '../../contracts/ann.ts';
import type { Artifact, Derivation } from '../../contracts/artifacts.ts';
import type { CalibrationResult } from '../../contracts/calibration.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { CalibrateTaskInput } from './calibrate-task.ts';
import { runHeavyTask } from './heavy-task.ts';
import { fetchShard } from './load-shard.ts';
import type { ShardStores } from './load-shard.ts';
import { recallAdvice } from './recall-advice.ts';
import type { RecallTaskInput, RecallTaskOutput } from './recall-task.ts';
import type { ShardFiles } from './shard.ts';
import { fetchSnapshotVectors } from './snapshot-vectors.ts';

export interface PublishIndexInput {
  stores: ShardStores;
  snapshot: string;
  embeddings: string;
  model: string;
  spec: IndexSpec;
  /** Shard artefact ids, shard 0 first. */
  shards: string[];
  /** recall@10 against exact search below which the index is refused, 0..1. */
  minIndexRecall: number;
  /** The artefact that says why this index, where it was chosen by measuring. */
  choice?: string;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** Summary of an `index` artefact. */
export interface IndexSummary {
  spec: IndexSpec;
  dim: number;
  /** Rows of all shards together. */
  size: number;
  numShards: number;
  /** Absent where the index was built before scores were calibrated. */
  calibration?: CalibrationResult;
}

/** The measurement behind the metric `recallAt10`; part of the derivation, so that a change measures again. */
const RECALL_CHECK = { k: 10, numQueries: 200, seed: 1 } as const;
/** What scores are calibrated by; part of the derivation likewise. */
const CALIBRATION = { k: 50, numQueries: 500, seed: 1 } as const;

/**
 * Measures recall@10 of the merged shards against exact search over the same vectors, for a seeded sample of items as queries
 * (each item itself set aside), finds out by labels what scores mean, and publishes the manifest of the whole index.
 * @throws LookalikeError `gateRejected` below `minIndexRecall`; `conflict` when the shards do not belong together
 */
export async function publishIndex(input: PublishIndexInput): Promise<{ artifact: Artifact; recall: number }> {
  const { stores, snapshot, embeddings, model, spec, shards, minIndexRecall, choice, signal, onProgress } = input;
  const derivation: Derivation = {
    kind: 'index',
    inputs: {
      ...{ snapshot, embeddings, model, ...(choice !== undefined && { choice }) },
      ...Object.fromEntries(shards.map((id, i) => [`shard${i}`, id])),
    },
    config: { spec: spec, recallCheck: RECALL_CHECK, calibration: CALIBRATION },
    seed: 'seed' in spec ? spec.seed : null,
  };
  const made = await stores.artifacts.find(derivation);
  if (made !== undefined) {
    const recall = made.manifest.metrics.recallAt10 as number;
    gate(recall, minIndexRecall, spec);
    return { artifact: made, recall };
  }
  const files = await Promise.all(shards.map((id) => fetchShard(stores, id)));
  for (const [i, { artifact, summary }] of files.entries()) {
    if (summary.shard !== i || summary.numShards !== shards.length) {
      const got = `${artifact} is shard ${summary.shard} of ${summary.numShards}`;
      throw new LookalikeError('conflict', `Expected shard ${i} of ${shards.length}, but ${got}.`);
    }
  }
  const task: RecallTaskInput = { shards: files, ...RECALL_CHECK };
  const { recall, numQueries } = await runHeavyTask<RecallTaskOutput>('recall-task', task, signal, onProgress);
  gate(recall, minIndexRecall, spec);
  const calibration = await calibrate(input, files);
  const size = files.reduce((sum, { summary }) => sum + summary.size, 0);
  const summary: IndexSummary = { spec, dim: files[0]?.summary.dim ?? 0, size, numShards: shards.length, calibration };
  const artifact = await stores.artifacts.publish({
    ...derivation,
    summary: summary as unknown as JsonObject,
    metrics: { recallAt10: recall, numQueries },
    files: {},
  });
  return { artifact, recall };
}

async function calibrate(
  { stores, snapshot, embeddings, signal }: PublishIndexInput,
  shards: ShardFiles[],
): Promise<CalibrationResult> {
  const vectors = await fetchSnapshotVectors(stores, snapshot, embeddings);
  const task: CalibrateTaskInput = { ...vectors, shards, ...CALIBRATION };
  return runHeavyTask<CalibrationResult>('calibrate-task', task, signal);
}

function gate(recall: number, minIndexRecall: number, spec: IndexSpec): void {
  if (recall >= minIndexRecall) return;
  throw new LookalikeError(
    'gateRejected',
    `Expected the index to find at least ${minIndexRecall} of the true 10 nearest, got ${recall.toFixed(4)}. ${recallAdvice(spec)}`,
    { recall, minIndexRecall },
  );
}
