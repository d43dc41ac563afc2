import type { Derivation } from '../../contracts/artifacts.ts';
import type { SnapshotRow } from '../../contracts/catalogue.ts';
import type { TrainingStage } from '../../contracts/data-parallel.ts';
import type { TrainInput } from '../../contracts/workflows.ts';
import { splitFor } from '../../lib/train/split-pictures.ts';
import type { Split } from '../../lib/train/split.ts';
import { openEmbeddings } from '../embeddings/read-embeddings.ts';
import { readSnapshotRows } from '../snapshot/read-snapshot.ts';
import type { Stores } from '../stores.ts';
import { readableOf, whyUntrained } from './training-data.ts';

/** What one stage of a training learns from, and by which settings; the same wherever it is prepared. */
export interface PreparedStage {
  input: TrainInput;
  derivation: Derivation;
  rows: SnapshotRow[];
  split: Split;
  /** Why nothing is trained; null when something is. */
  why: string | null;
}

/** What decides a trained model; its checkpoints are kept under it too. */
export function trainingDerivation({ snapshot, features, backbone, config }: TrainInput, judged?: string): Derivation {
  const inputs = { snapshot, features, backbone, ...(judged !== undefined && { judged }) };
  return { kind: 'model', inputs, config: { ...config }, seed: config.seed };
}

export async function prepareStage(stores: Stores, input: TrainInput, stage: TrainingStage): Promise<PreparedStage> {
  const rows = await readSnapshotRows(stores, input.snapshot);
  const split = splitFor(rows, input.config.supervision);
  if (stage.kind === 'judged') {
    const derivation = trainingDerivation(input);
    const why = whyUntrained(split) ?? (await whyUnreadable(stores, input, split, derivation));
    return { input, derivation, rows, split, why };
  }
  const whole = { ...input, config: { ...input.config, epochs: stage.epochs, patience: 0 } };
  const all: Split = { train: [...split.train, ...split.withheld], queries: [], catalogue: [], withheld: [] };
  return { input: whole, derivation: trainingDerivation(whole, stage.judged), rows, split: all, why: null };
}

/** Which pictures can be read matters until a model is there. */
async function whyUnreadable(
  stores: Stores,
  { features }: TrainInput,
  split: Split,
  derivation: Derivation,
): Promise<string | null> {
  if ((await stores.artifacts.find(derivation)) !== undefined) return null;
  await using opened = await openEmbeddings(stores, features);
  return whyUntrained(readableOf(split, new Set(opened.images)));
}
