import type { FinetuneConfig } from '../../contracts/finetune.ts';

/** What fine-tuning is given when only asked for. */
export const FINETUNE_DEFAULTS: FinetuneConfig = {
  blocks: 5,
  size: 224,
  outputSize: 224,
  views: 8,
  dim: 256,
  loss: { kind: 'proxySoftmax', scale: 16, margin: 0.2 },
  learningRate: 1e-3,
  headLearningRate: 5e-3,
  layerDecay: 0.8,
  weightDecay: 0.05,
  warmupEpochs: 1,
  epochs: 10,
  labelsPerBatch: 32,
  samplesPerLabel: 1,
  dropout: 0.2,
  averaging: 0.99,
  keep: 0,
  checkpointEverySteps: 100,
  seed: 1,
};
