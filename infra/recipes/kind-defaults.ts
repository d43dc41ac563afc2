import type { AutoSpec, IndexSpec, IvfCodes } from '../../contracts/ann.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type {
  DataParallelConfig,
  HeadStart,
  LossConfig,
  ModelParallelConfig,
  TrainConfig,
} from '../../contracts/training.ts';

type Parameters<T extends { kind: string }> = { [K in T['kind']]: Omit<Extract<T, { kind: K }>, 'kind'> };

/** What a loss is given when only its kind is chosen. */
export const LOSS_DEFAULTS: Parameters<LossConfig> = {
  proxySoftmax: { scale: 16, margin: 0.2 },
  arcFace: { scale: 16, margin: 0.3 },
  proxyAnchor: { scale: 32, margin: 0.1 },
  batchHardTriplet: { margin: 0.3 },
  visnetTriplet: { margin: 0.3, inClassShare: 0.3 },
  supCon: { temperature: 0.1 },
  multiSimilarity: { positiveScale: 2, negativeScale: 50, threshold: 0.5, margin: 0.1 },
};

/** What a start of the projection is given when only its kind is chosen. */
const START_DEFAULTS: Parameters<HeadStart> = { random: {}, principalAxes: { power: 0.2 } };

/** Decay per step is learningRate x weightDecay: the same 0.005 for both. `momentum` acts in sgd alone. */
export const OPTIMIZER_DEFAULTS: Record<TrainConfig['optimizer']['kind'], Omit<TrainConfig['optimizer'], 'kind'>> = {
  adam: { learningRate: 5e-3, weightDecay: 1, momentum: 0.9 },
  sgd: { learningRate: 0.1, weightDecay: 0.05, momentum: 0.9 },
};

type PartOf<Key extends 'exchange' | 'mode' | 'compression'> = Parameters<DataParallelConfig[Key]>;

/** What the parts of a data-parallel training are given when only their kind is chosen. */
const EXCHANGE_DEFAULTS: PartOf<'exchange'> = { parameterServer: { shards: 2 }, allReduce: { bucketBytes: 1_048_576 } };
const MODE_DEFAULTS: PartOf<'mode'> = {
  sync: { backups: 0 },
  ssp: { staleness: 2 },
  async: { pushEvery: 1, fetchEvery: 1 },
};
const COMPRESSION_DEFAULTS: PartOf<'compression'> = { none: {}, fp16: {}, topK: { share: 0.01 }, oneBit: {} };

/** How a training is spread when it is only said that it is: in step, exactly, by two processes. */
export const DATA_PARALLEL_DEFAULTS: DataParallelConfig = {
  replicas: 2,
  exchange: { kind: 'parameterServer', ...EXCHANGE_DEFAULTS.parameterServer },
  mode: { kind: 'sync', ...MODE_DEFAULTS.sync },
  compression: { kind: 'none' },
};

/** How a model is cut when it is only said that it is; the schedule is the one that goes with every loss. */
export const MODEL_PARALLEL_DEFAULTS: ModelParallelConfig = {
  stages: 2,
  cut: 'auto',
  microBatches: 4,
  schedule: 'gpipe',
  classifierParts: 1,
};

/** What codes of an inverted file are given when only their kind is chosen. */
const IVF_CODES_DEFAULTS: Parameters<IvfCodes> = {
  flat: {},
  sq8: {},
  pq: { m: 0, bits: 8, opq: false },
};

/** Without the metric: it means the same to every kind, so it stays as it was. */
export const INDEX_DEFAULTS: {
  [K in (IndexSpec | AutoSpec)['kind']]: Omit<Extract<IndexSpec | AutoSpec, { kind: K }>, 'kind' | 'metric'>;
} = {
  exact: {},
  hnsw: { m: 16, efConstruction: 200, efSearch: 64, seed: 1 },
  ivf: { numLists: 0, nprobe: 0, codes: { kind: 'flat' }, rescore: 8, seed: 1 },
  kdTree: { trees: 8, leafSize: 16, checks: 2048, seed: 1 },
  auto: { recall: 0.95, maxBytes: 0, seed: 1 },
  lsh: { family: 'crossPolytope', tables: 16, bits: 2, probes: 256, seed: 1 },
  deepHash: { bits: 128, code: 'learned', epochs: 20, rescore: 20, seed: 1 },
};

/** The parts of a configuration that come in kinds, by their path: each kind's parameters, and what all kinds share. */
export const KINDS: Readonly<
  Record<string, { defaults: Record<string, Readonly<JsonObject>>; shared: readonly string[] }>
> = {
  'train.loss': { defaults: LOSS_DEFAULTS, shared: [] },
  'finetune.loss': { defaults: LOSS_DEFAULTS, shared: [] },
  'train.start': { defaults: START_DEFAULTS, shared: [] },
  'train.optimizer': { defaults: OPTIMIZER_DEFAULTS, shared: [] },
  'train.dataParallel.exchange': { defaults: EXCHANGE_DEFAULTS, shared: [] },
  'train.dataParallel.mode': { defaults: MODE_DEFAULTS, shared: [] },
  'train.dataParallel.compression': { defaults: COMPRESSION_DEFAULTS, shared: [] },
  index: { defaults: INDEX_DEFAULTS, shared: ['metric'] },
  'index.codes': { defaults: IVF_CODES_DEFAULTS, shared: [] },
};
