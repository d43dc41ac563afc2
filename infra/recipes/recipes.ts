import type { RetrainConfig, TrainConfig } from '../../contracts/training.ts';
import { INDEX_DEFAULTS, LOSS_DEFAULTS, OPTIMIZER_DEFAULTS } from './kind-defaults.ts';

/** A head of normalised softmax over proxies: short, stable, the strongest on few pictures per label. */
const PROXY_HEAD: TrainConfig = {
  strategy: 'single',
  dim: 256,
  loss: { kind: 'proxySoftmax', ...LOSS_DEFAULTS.proxySoftmax },
  optimizer: { kind: 'adam', ...OPTIMIZER_DEFAULTS.adam },
  schedule: { warmupEpochs: 1 },
  epochs: 60,
  labelsPerBatch: 64,
  samplesPerLabel: 4,
  featureDropout: 0.3,
  patience: 0,
  checkpointEverySteps: 100,
  seed: 1,
};

const DEFAULT: RetrainConfig = {
  recipe: 'default',
  backbone: 'efficientnet-lite0',
  views: 8,
  train: PROXY_HEAD,
  index: { kind: 'hnsw', metric: 'cosine', ...INDEX_DEFAULTS.hnsw },
  numShards: 2,
  numReplicas: 2,
  gate: { maxRecallDrop: 0.01, significance: 0.05, categoryQueries: 20, minIndexRecall: 0.95 },
};

/** Named runs, complete; knobs are changed over them by file and `--set`. */
export const RECIPES: Readonly<Record<string, { about: string; config: RetrainConfig }>> = {
  default: {
    about: 'Labelled catalogues with several pictures per product: proxies over cached features in eight views.',
    config: DEFAULT,
  },
  demo: {
    about:
      'Thousands of products with one or two pictures each: contrastive pairs, two views, a few minutes on two cores.',
    config: {
      ...DEFAULT,
      recipe: 'demo',
      views: 2,
      train: {
        ...PROXY_HEAD,
        loss: { kind: 'supCon', ...LOSS_DEFAULTS.supCon },
        optimizer: { kind: 'adam', learningRate: 1e-3, weightDecay: 0.1, momentum: 0.9 },
        epochs: 20,
        labelsPerBatch: 256,
        samplesPerLabel: 2,
        patience: 6,
      },
    },
  },
  visnetTriplet: {
    about: "Visnet's triplet hinge with in-class and out-of-class negatives, as the default otherwise.",
    config: {
      ...DEFAULT,
      recipe: 'visnetTriplet',
      train: { ...PROXY_HEAD, loss: { kind: 'visnetTriplet', ...LOSS_DEFAULTS.visnetTriplet } },
    },
  },
  batchHardTriplet: {
    about: 'Batch-hard triplet, as the default otherwise.',
    config: {
      ...DEFAULT,
      recipe: 'batchHardTriplet',
      train: { ...PROXY_HEAD, loss: { kind: 'batchHardTriplet', ...LOSS_DEFAULTS.batchHardTriplet } },
    },
  },
  fast: {
    about: 'Plain view only, few epochs, one shard and replica: for trying things out.',
    config: {
      ...DEFAULT,
      recipe: 'fast',
      views: 1,
      numShards: 1,
      numReplicas: 1,
      train: { ...PROXY_HEAD, epochs: 10 },
    },
  },
};
