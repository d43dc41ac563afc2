import { z } from 'zod';
import { METRICS, ROW_STORAGES } from '../../contracts/ann.ts';
import { SUPERVISIONS } from '../../contracts/training.ts';
import type { RetrainConfig } from '../../contracts/training.ts';
import { usesProxies } from '../../lib/train/losses/index.ts';
import { DataParallelSchema, contradictionsOf } from './data-parallel-schema.ts';
import { finetuneSchema } from './finetune-schema.ts';
import { ModelParallelSchema, cutContradictionsOf } from './model-parallel-schema.ts';

const share = z.number().min(0).max(1);
const count = z.int().min(1);

const Loss = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('proxySoftmax'), scale: z.number().positive().max(256), margin: share }),
  // Beyond a right angle the own proxy would count less than all others from the start.
  z.strictObject({
    kind: z.literal('arcFace'),
    scale: z.number().positive().max(256),
    margin: z
      .number()
      .min(0)
      .max(Math.PI / 2),
  }),
  z.strictObject({ kind: z.literal('proxyAnchor'), scale: z.number().positive().max(256), margin: share }),
  z.strictObject({ kind: z.literal('batchHardTriplet'), margin: z.number().positive().max(2) }),
  z.strictObject({ kind: z.literal('visnetTriplet'), margin: z.number().positive().max(2), inClassShare: share }),
  z.strictObject({ kind: z.literal('supCon'), temperature: z.number().positive().max(10) }),
  z.strictObject({
    kind: z.literal('multiSimilarity'),
    positiveScale: z.number().positive().max(256),
    negativeScale: z.number().positive().max(256),
    threshold: z.number().min(-1).max(1),
    margin: z.number().min(0).max(2),
  }),
]);

const Start = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('random') }),
  z.strictObject({ kind: z.literal('principalAxes'), power: share }),
]);

const Train = z
  .strictObject({
    strategy: z.enum(['single', 'dataParallel', 'modelParallel']),
    dataParallel: DataParallelSchema.optional(),
    modelParallel: ModelParallelSchema.optional(),
    hidden: z.array(count.max(65_536)).max(8).optional(),
    supervision: z.enum(SUPERVISIONS).optional(),
    start: Start.optional(),
    dim: count.max(4096),
    loss: Loss,
    optimizer: z.strictObject({
      kind: z.enum(['adam', 'sgd']),
      learningRate: z.number().positive().max(10),
      weightDecay: z.number().min(0).max(100),
      momentum: share,
    }),
    schedule: z.strictObject({ warmupEpochs: z.int().min(0) }),
    epochs: z.int().min(0).max(100_000),
    labelsPerBatch: z.int().min(2).max(65_536),
    samplesPerLabel: count.max(1024),
    featureDropout: z.number().min(0).max(0.95),
    patience: z.int().min(0),
    checkpointEverySteps: count,
    seed: z
      .int()
      .min(0)
      .max(2 ** 31),
  })
  .refine(({ epochs, start }) => epochs > 0 || start?.kind === 'principalAxes', {
    path: ['epochs'],
    message: 'must be at least 1, unless train.start.kind is principalAxes, which is a head by itself',
  })
  .refine(({ start, strategy }) => start?.kind !== 'principalAxes' || strategy === 'single', {
    path: ['start', 'kind'],
    message: 'principalAxes are found by one process: train.strategy must be single',
  })
  .refine(({ start, hidden = [] }) => start?.kind !== 'principalAxes' || hidden.length === 0, {
    path: ['start', 'kind'],
    message:
      'principalAxes are those of the features: a projection of hidden layers has none, so train.hidden must be empty',
  })
  .refine(({ schedule, epochs }) => schedule.warmupEpochs <= epochs, {
    path: ['schedule', 'warmupEpochs'],
    message: 'the warm-up must not be longer than the run (epochs)',
  })
  .refine(({ loss, samplesPerLabel }) => usesProxies(loss) || samplesPerLabel >= 2, {
    path: ['samplesPerLabel'],
    message: 'a loss over pairs needs at least 2 samples per label',
  })
  .refine(({ optimizer: { learningRate, weightDecay } }) => learningRate * weightDecay < 1, {
    path: ['optimizer', 'weightDecay'],
    message: 'learningRate x weightDecay must stay below 1, or each step would erase the weights',
  })
  .superRefine((train, context) => {
    for (const { path, message } of [...contradictionsOf(train), ...cutContradictionsOf(train)])
      context.addIssue({ code: 'custom', path, message });
  });

const Index = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('exact'),
    metric: z.enum(METRICS),
    storage: z.enum(ROW_STORAGES).optional(),
    rescore: z.int().min(0).max(1000).optional(),
  }),
  z.strictObject({
    kind: z.literal('hnsw'),
    metric: z.enum(METRICS),
    storage: z.enum(['float32', 'int8']).optional(),
    m: z.int().min(2).max(256),
    efConstruction: count.max(10_000),
    efSearch: count.max(100_000),
    seed: z
      .int()
      .min(0)
      .max(2 ** 31),
  }),
  z.strictObject({
    kind: z.literal('ivf'),
    metric: z.enum(METRICS),
    numLists: z.int().min(0).max(1_000_000),
    nprobe: z.int().min(0).max(1_000_000),
    codes: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('flat') }),
      z.strictObject({ kind: z.literal('sq8') }),
      z.strictObject({
        kind: z.literal('pq'),
        m: z.int().min(0).max(256),
        bits: z.union([z.literal(4), z.literal(8)]),
        opq: z.boolean(),
      }),
    ]),
    rescore: z.int().min(0).max(1000),
    seed: z.int().min(0).max(0xffffffff),
  }),
  z
    .strictObject({
      kind: z.literal('kdTree'),
      metric: z.enum(METRICS),
      trees: count.max(64),
      leafSize: z.int().min(2).max(4096),
      checks: z.int().min(0).max(1_000_000),
      seed: z.int().min(0).max(0xffffffff),
    })
    .refine(({ trees, checks }) => trees === 1 || checks > 0, {
      path: ['checks'],
      message: 'only a single tree is exact: a forest needs at least 1',
    }),
  z.strictObject({
    kind: z.literal('lsh'),
    metric: z.enum(METRICS),
    family: z.enum(['hyperplane', 'crossPolytope']),
    tables: count.max(512),
    bits: count.max(32),
    probes: count.max(1_000_000),
    seed: z.int().min(0).max(0xffffffff),
  }),
  z.strictObject({
    kind: z.literal('deepHash'),
    metric: z.enum(METRICS),
    bits: z.union([z.literal(64), z.literal(128), z.literal(256)]),
    code: z.enum(['learned', 'hyperplane']),
    epochs: z.int().min(0).max(10_000),
    rescore: z.int().min(0).max(1000),
    seed: z.int().min(0).max(0xffffffff),
  }),
  z.strictObject({
    kind: z.literal('auto'),
    metric: z.enum(METRICS),
    recall: share,
    maxBytes: z.int().min(0),
    seed: z.int().min(0).max(0xffffffff),
  }),
]);

/** The table of a generation's endpoints travels between activities and workflows: 143 bytes each, 64 KiB a payload. */
const MAX_ENDPOINTS = 256;

/** A whole configuration: unknown keys are errors, contradictions are refused with the reason. */
export const RetrainConfigSchema: z.ZodType<RetrainConfig> = z
  .strictObject({
    recipe: z.string().min(1).max(100),
    backbone: z.string().min(1).max(4096),
    views: count.max(64),
    finetune: finetuneSchema(Loss).optional(),
    train: Train,
    index: Index,
    numShards: count.max(1024),
    numReplicas: count.max(16),
    gate: z.strictObject({
      maxRecallDrop: share,
      significance: z.number().gt(0).max(1).optional(),
      categoryQueries: z.int().min(0).optional(),
      minIndexRecall: share,
    }),
  })
  .refine(({ views, train }) => views >= 2 || train.supervision !== 'views', {
    path: ['views'],
    message: 'train.supervision views learns from what the views of a picture share: at least 2',
  })
  .refine(({ numShards, numReplicas }) => numShards * numReplicas <= MAX_ENDPOINTS, {
    path: ['numShards'],
    message: `numShards x numReplicas must not exceed ${MAX_ENDPOINTS}, or the table of where they stand would not fit one message`,
  });
