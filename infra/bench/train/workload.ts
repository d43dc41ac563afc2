import type { DataParallelConfig, TrainConfig } from '../../../contracts/training.ts';
import type { HeadShape } from '../../../lib/train/head-model.ts';
import type { TrainingData } from '../../../lib/train/head-program.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';

/** A head of F features, D dimensions and C labels, or a small convolutional network, trained on global batches of `batch` rows. */
export interface TrainWorkload {
  /** `convnet`: 28 x 28 pictures, 10 labels, 56,714 parameters; `features`, `dim` and `labels` do not concern it. */
  model: 'head' | 'convnet';
  features: number;
  dim: number;
  labels: number;
  batch: number;
  steps: number;
  seed: number;
  /** Where it is measured how soon something is learnt, not how fast steps are; `batch` and `steps` follow from it. */
  learning?: { train: TrainConfig; /** A file of `writeLearningData`. */ data: string };
}

/** Steps that are run and not counted: processes start, connections open, code gets compiled. */
export const WARM_UP_STEPS = 10;

export function shapeOf({ features, dim, labels }: TrainWorkload): HeadShape {
  return { featureDim: features, dim, numLabels: labels };
}

/** Drawn features around a centre per label; as many pictures as make one epoch of all steps. */
export function drawnData({ features, labels, batch, steps, seed }: TrainWorkload): TrainingData {
  // The same pictures again and again, in enough views that an epoch lasts for all steps without more memory.
  const numPictures = batch * (steps + WARM_UP_STEPS);
  const numDistinct = Math.min(numPictures, 4096);
  const random = randomOf(seed, 'bench');
  const centres = normals(labels * features, random);
  const noise = normals(numDistinct * features, random);
  const values = new Float32Array(numPictures * features);
  for (let picture = 0; picture < numPictures; picture++) {
    const centre = (picture % labels) * features;
    const from = (picture % numDistinct) * features;
    for (let i = 0; i < features; i++) values[picture * features + i] = centres[centre + i]! + noise[from + i]!;
  }
  return {
    featureDim: features,
    views: 1,
    features: values,
    labels: Int32Array.from({ length: numPictures }, (_, picture) => picture % labels),
    numLabels: labels,
    queries: new Float32Array(0),
    queryLabels: [],
    catalogue: new Float32Array(0),
    catalogueLabels: [],
  };
}

/** One epoch of all steps, with nothing but steps in it, no validation and no checkpoint; unless it is to learn something. */
export function configOf(
  { dim, labels, batch, seed, learning }: TrainWorkload,
  dataParallel?: DataParallelConfig,
): TrainConfig {
  const labelsPerBatch = Math.min(labels, batch);
  const strategy: Pick<TrainConfig, 'strategy' | 'dataParallel'> =
    dataParallel === undefined ? { strategy: 'single' } : { strategy: 'dataParallel', dataParallel };
  if (learning !== undefined) return { ...learning.train, ...strategy };
  return {
    ...strategy,
    dim,
    loss: { kind: 'proxySoftmax', scale: 16, margin: 0.1 },
    optimizer: { kind: 'adam', learningRate: 1e-3, weightDecay: 1e-2, momentum: 0.9 },
    schedule: { warmupEpochs: 0 },
    epochs: 1,
    labelsPerBatch,
    samplesPerLabel: Math.max(1, Math.round(batch / labelsPerBatch)),
    featureDropout: 0,
    patience: 0,
    checkpointEverySteps: 1_000_000,
    seed,
  };
}
