import type { AutoSpec, IndexSpec } from '../../contracts/ann.ts';
import type { Artifact, Derivation } from '../../contracts/artifacts.ts';
import type { ChooseTaskInput, ChooseTaskOutput } from './choose-task.ts';
import { runHeavyTask } from './heavy-task.ts';
import type { ShardStores } from './load-shard.ts';
import { fetchSnapshotVectors } from './snapshot-vectors.ts';

export interface ChooseIndexInput {
  stores: ShardStores;
  /** Artefact ids: the items, their vectors, and the model that made the vectors. */
  snapshot: string;
  embeddings: string;
  model: string;
  wish: AutoSpec;
  numShards: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/**
 * Chooses kind and parameters for the shards of an index by measuring on rows of its first, and publishes the choice with what was
 * measured, or finds it already made: times differ from run to run, and a repeated run must not build another index.
 * @throws LookalikeError `invalidInput` when nothing fits the memory; `notFound` | `corruptArtifact` | `cancelled`
 */
export async function chooseIndexSpec(
  input: ChooseIndexInput,
): Promise<{ artifact: Artifact; spec: IndexSpec; reason: string }> {
  const { stores, snapshot, embeddings, model, wish, numShards, signal, onProgress } = input;
  const derivation: Derivation = {
    kind: 'indexChoice',
    inputs: { snapshot, embeddings, model },
    config: { wish, numShards },
    seed: wish.seed,
  };
  const made = await stores.artifacts.find(derivation);
  if (made !== undefined) return choiceOf(made);
  const vectors = await fetchSnapshotVectors(stores, snapshot, embeddings);
  const task: ChooseTaskInput = { ...vectors, wish, numShards };
  const { spec, reason, measured } = await runHeavyTask<ChooseTaskOutput>('choose-task', task, signal, onProgress);
  const artifact = await stores.artifacts.publish({
    ...derivation,
    summary: { spec, reason },
    metrics: {},
    files: { 'measured.json': { bytes: Buffer.from(`${JSON.stringify(measured)}\n`) } },
  });
  return choiceOf(artifact);
}

function choiceOf(artifact: Artifact): { artifact: Artifact; spec: IndexSpec; reason: string } {
  const { spec, reason } = artifact.manifest.summary as unknown as { spec: IndexSpec; reason: string };
  return { artifact, spec, reason };
}
