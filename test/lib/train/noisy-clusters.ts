import type { TrainConfig } from '../../../contracts/training.ts';
import type { TrainingData } from '../../../lib/train/head-program.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';

export const CONFIG: TrainConfig = {
  strategy: 'single',
  dim: 8,
  loss: { kind: 'proxySoftmax', scale: 16, margin: 0.1 },
  optimizer: { kind: 'adam', learningRate: 0.02, weightDecay: 0.01, momentum: 0.9 },
  schedule: { warmupEpochs: 1 },
  epochs: 8,
  labelsPerBatch: 6,
  samplesPerLabel: 2,
  featureDropout: 0.2,
  patience: 0,
  checkpointEverySteps: 5,
  seed: 7,
};

/** Labels differ in 4 of 16 features; the other 12 are louder noise, which plain cosine cannot see past. */
export function noisyClusters(): TrainingData {
  const [numLabels, perLabel, views, featureDim] = [6, 4, 2, 16];
  const random = randomOf('clusters');
  const centres = Array.from({ length: numLabels }, () => normals(4, random));
  const draw = (label: number): number[] => [
    ...[...normals(4, random)].map((value, j) => centres[label]![j]! * 2 + value * 0.2),
    ...[...normals(12, random)].map((value) => value * 3),
  ];
  const labels = Int32Array.from({ length: numLabels * perLabel }, (_, i) => Math.floor(i / perLabel));
  const features = Float32Array.from([...labels].flatMap((label) => [...draw(label), ...draw(label)]));
  const task = Array.from({ length: numLabels * 5 }, (_, i) => i % numLabels);
  const plain = (): Float32Array => Float32Array.from(task.flatMap(draw));
  const names = task.map(String);
  return {
    featureDim,
    views,
    features,
    labels,
    numLabels,
    queries: plain(),
    queryLabels: names,
    catalogue: plain(),
    catalogueLabels: names,
  };
}
