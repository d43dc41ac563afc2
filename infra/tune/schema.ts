import { z } from 'zod';
import type { JsonObject } from '../../contracts/json.ts';
import { MAX_TRIALS } from '../../contracts/tuning.ts';
import type { Dimension, SchedulerConfig, SearchConfig, SearchSpace } from '../../contracts/tuning.ts';

const count = z.int().min(1);
const scale = z.enum(['linear', 'log']).default('linear').describe('How values are spread between the ends.');
const when = z
  .record(z.string(), z.array(z.json()).min(1))
  .optional()
  .describe('Drawn only if each named dimension has one of the values.');

const DimensionSchema: z.ZodType<Dimension> = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('float'),
    low: z.number(),
    high: z.number(),
    scale,
    step: z.number().positive().optional(),
    when,
  }),
  z.strictObject({ kind: z.literal('int'), low: z.int(), high: z.int(), scale, step: count.optional(), when }),
  z.strictObject({ kind: z.literal('choice'), values: z.array(z.json()).min(1).max(1000), when }),
]);

export const SearchSpaceSchema: z.ZodType<SearchSpace> = z.record(z.string().min(1).max(200), DimensionSchema);

const Search = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('grid'), points: z.int().min(1).max(1000) }),
  z.strictObject({ kind: z.literal('random') }),
  z.strictObject({
    kind: z.literal('tpe'),
    startup: count,
    candidates: count.max(10_000),
    gamma: z.number().gt(0).lt(1),
  }),
]) satisfies z.ZodType<SearchConfig>;

const eta = z.int().min(2).max(100);
const Scheduler = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('medianStop'), grace: count, every: count }),
  z.strictObject({ kind: z.literal('asha'), minEpochs: count, eta }),
  z.strictObject({ kind: z.literal('hyperband'), eta }),
  z.strictObject({ kind: z.literal('pbt'), every: count, quantile: z.number().gt(0).max(0.5) }),
]) satisfies z.ZodType<SchedulerConfig>;

/** What a search has when only its kind is said: of few trials, half may be random. */
export function searchDefaults(numTrials: number): Record<SearchConfig['kind'], JsonObject> {
  return {
    grid: { points: 3 },
    random: {},
    tpe: { startup: Math.max(1, Math.min(10, Math.floor(numTrials / 2))), candidates: 24, gamma: 0.15 },
  };
}

/** What a scheduler has when only its kind is said. */
export function schedulerDefaults(epochs: number): Record<SchedulerConfig['kind'], JsonObject> {
  return {
    none: {},
    medianStop: { grace: Math.max(1, Math.round(epochs / 6)), every: Math.max(1, Math.round(epochs / 10)) },
    // Three rungs below the last one.
    asha: { minEpochs: Math.max(1, Math.round(epochs / 27)), eta: 3 },
    hyperband: { eta: 3 },
    pbt: { every: Math.max(1, Math.round(epochs / 10)), quantile: 0.25 },
  };
}

/** A kind alone, or an object with a kind and some of its parameters. */
const kindOf = <Kind extends string>(kinds: readonly Kind[]) =>
  z.union([z.enum(kinds), z.looseObject({ kind: z.enum(kinds) })]);
export const SEARCH_KINDS = ['grid', 'random', 'tpe'] as const satisfies readonly SearchConfig['kind'][];
export const SCHEDULER_KINDS = [
  'none',
  'medianStop',
  'asha',
  'hyperband',
  'pbt',
] as const satisfies readonly SchedulerConfig['kind'][];

/** A search as a person describes it, in a file or a request: all but the space has defaults. */
export const TuneRequestSchema = z.strictObject({
  space: SearchSpaceSchema.describe(
    'What is varied, by its path in the configuration: `train.optimizer.learningRate`.',
  ),
  search: kindOf(SEARCH_KINDS).optional().describe('How the values of the next trial are chosen; `tpe` when left out.'),
  scheduler: kindOf(SCHEDULER_KINDS).optional().describe('When a trial goes on, waits and ends; `asha` when left out.'),
  numTrials: count.max(MAX_TRIALS).default(20).describe('How many trials in all.'),
  concurrency: count.max(MAX_TRIALS).default(4).describe('At most this many at once; fewer where fewer trainers live.'),
  retries: z.int().min(0).max(100).default(2).describe('How often a trial that failed is tried again.'),
  seed: z.int().min(0).max(0xffffffff).default(1),
});
export type TuneRequest = z.input<typeof TuneRequestSchema>;

export const TuneConfigSchema = z.object({ search: Search, scheduler: Scheduler });
