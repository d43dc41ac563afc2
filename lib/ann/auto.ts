import type { AnnIndex, AnnMachine, IndexSpec, Metric, SearchOptions } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { randomFrom } from '../images/random.ts';
import { autoCandidates } from './auto-candidates.ts';
import { carriedOn } from './auto-growth.ts';
import type { Carried, Point } from './auto-growth.ts';
import { outOfReach, reasonFor, tooSmall } from './auto-reason.ts';
import type { AutoCandidate } from './auto-candidates.ts';
import { createBuilder } from './index.ts';
import { throwIfAborted } from './rows.ts';

/** What is wanted of an index, and a sample of what it will hold. */
export interface AutoInput {
  /** f32 [sampled rows, dim], row-major; a twentieth of them, 100 at most, become the queries. */
  sample: Float32Array;
  dim: number;
  metric: Metric;
  /** Rows of the index to come. */
  numRows: number;
  k: number;
  /** Part of the true k nearest to be found at least, 0..1. */
  recall: number;
  /** Memory that the index may take; `null`: as much as it likes. */
  maxBytes: number | null;
  seed: number;
  machine?: AnnMachine;
  /** Milliseconds of some clock. */
  now: () => number;
  signal?: AbortSignal;
  /** What is tried. Default: {@link autoCandidates}. */
  candidates?: (numRows: number) => AutoCandidate[];
}

/** One candidate at one effort: `recall` and `millis` as measured on the whole sample, the rest carried on to all rows. */
export type AutoMeasured = Carried & { spec: IndexSpec };

export interface AutoChoice {
  spec: IndexSpec;
  /** Why, in words. */
  reason: string;
  measured: AutoMeasured[];
}

const MAX_QUERIES = 100;
/** Each pass over the queries is timed so often; the fastest counts. */
const PASSES = 5;
/** Growth is seen between the sample and this part of it. */
const SMALL_PART = 1 / 4;
/** Exact answers are worth this much time: they lose nothing, and need no parameter. */
const EXACT_BONUS = 1.2;

/**
 * Chooses the kind and parameters that answer soonest among those that reach the recall within the memory. Each candidate is
 * built over a quarter of the sample and over all of it, and what changes in between is taken to go on: time as a power of the
 * number of rows between 0 and 1, the odds of a hit as a power too (never a rising one), memory straight.
 * @throws LookalikeError `invalidInput` when nothing fits the memory, naming what would; `cancelled`
 */
export async function chooseIndex(input: AutoInput): Promise<AutoChoice> {
  const { sample, dim, numRows, recall, maxBytes, seed } = input;
  check(input);
  const { rows, queries } = holdOut(sample, dim, seed);
  const large = rows.length / dim;
  const small = Math.max(1, Math.floor(large * SMALL_PART));
  const candidates = input.candidates ?? ((count) => autoCandidates(count, dim, input.metric, seed));
  const measured: AutoMeasured[] = [];
  const sizes = { small, large, numRows };
  const atSmall = await measureAll(candidates(small), rows.subarray(0, small * dim), queries, input);
  const atLarge = await measureAll(candidates(large), rows, queries, input);
  for (const [i, candidate] of candidates(numRows).entries()) {
    const points = carriedOn(atSmall[i]!, atLarge[i]!, sizes);
    for (const [j, effort] of effortsOf(candidate).entries()) {
      // More rows can allow more efforts (more lists to probe); those beyond the last measured one are left untried.
      if (points[j] !== undefined) measured.push({ spec: { ...candidate.spec, ...effort }, ...points[j] });
    }
  }
  const fitting = measured.filter(({ expectedBytes }) => maxBytes === null || expectedBytes <= maxBytes);
  if (fitting.length === 0) throw tooSmall(measured, numRows, maxBytes!);
  const good = fitting.filter(({ expectedRecall }) => expectedRecall >= recall);
  const cost = ({ spec, expectedMillis }: AutoMeasured): number =>
    spec.kind === 'exact' && spec.storage === undefined ? expectedMillis / EXACT_BONUS : expectedMillis;
  const [best] = good.toSorted((a, b) => cost(a) - cost(b));
  if (best === undefined) throw outOfReach(fitting, recall);
  return { spec: best.spec, reason: reasonFor(best, measured, input, sizes), measured };
}

async function measureAll(
  candidates: readonly AutoCandidate[],
  rows: Float32Array,
  queries: Float32Array,
  input: AutoInput,
): Promise<Point[][]> {
  const { dim, metric, machine, signal } = input;
  const truth = answers(await build({ kind: 'exact', metric }, rows, dim, machine, signal), queries, input, {});
  const all: Point[][] = [];
  for (const candidate of candidates) {
    const index = await build(candidate.spec, rows, dim, machine, signal);
    const points: Point[] = [];
    for (const effort of effortsOf(candidate)) {
      const found = answers(index, queries, input, effort);
      let millis = Infinity;
      for (let pass = 0; pass < PASSES; pass++) {
        await new Promise((resume) => setImmediate(resume));
        const started = input.now();
        answers(index, queries, input, effort);
        millis = Math.min(millis, (input.now() - started) / truth.length);
      }
      points.push({ recall: recallOf(found, truth), millis, bytes: index.memoryBytes });
    }
    all.push(points);
  }
  return all;
}

async function build(
  spec: IndexSpec,
  rows: Float32Array,
  dim: number,
  machine?: AnnMachine,
  signal?: AbortSignal,
): Promise<AnnIndex> {
  const builder = createBuilder(spec, dim, machine);
  for (let at = 0; at < rows.length; at += dim) builder.add(rows.subarray(at, at + dim));
  return builder.build(signal);
}

function answers(
  index: AnnIndex,
  queries: Float32Array,
  { k, dim, signal }: AutoInput,
  effort: Partial<SearchOptions>,
) {
  const found: { rows: Int32Array; scores: Float32Array }[] = [];
  for (let at = 0; at < queries.length; at += dim) {
    throwIfAborted(signal);
    found.push(index.search(queries.subarray(at, at + dim), { ...effort, k }));
  }
  return found;
}

/** By score: among rows as near as the last true one it does not matter which are found. */
function recallOf(found: ReturnType<typeof answers>, truth: ReturnType<typeof answers>): number {
  let hits = 0;
  let wanted = 0;
  for (const [i, { scores }] of truth.entries()) {
    const last = scores.at(-1) ?? Infinity;
    hits += Math.min(scores.length, found[i]!.scores.filter((score) => score >= last).length);
    wanted += scores.length;
  }
  return wanted === 0 ? 1 : hits / wanted;
}

function effortsOf({ effort }: AutoCandidate): Partial<SearchOptions>[] {
  return effort === undefined ? [{}] : effort.values.map((value) => ({ [effort.name]: value }));
}

/** Seeded rows to ask with; the others are searched. The order of the rest is shuffled, so that a part is a sample too. */
function holdOut(sample: Float32Array, dim: number, seed: number): { rows: Float32Array; queries: Float32Array } {
  const count = sample.length / dim;
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const random = randomFrom(seed);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const shuffled = new Float32Array(sample.length);
  order.forEach((row, i) => shuffled.set(sample.subarray(row * dim, (row + 1) * dim), i * dim));
  const numQueries = Math.max(1, Math.min(MAX_QUERIES, Math.floor(count / 20)));
  return { queries: shuffled.subarray(0, numQueries * dim), rows: shuffled.subarray(numQueries * dim) };
}

function check({ sample, dim, numRows, recall, k }: AutoInput): void {
  if (sample.length === 0 || sample.length % dim !== 0 || sample.length / dim < k + 1) {
    const got = sample.length / dim;
    throw new LookalikeError(
      'invalidInput',
      `Expected a sample of more than k = ${k} whole rows to choose an index by, got ${got}. Name a kind of index instead of auto.`,
    );
  }
  if (!(recall >= 0 && recall <= 1) || numRows < 1) {
    throw new LookalikeError('invalidInput', `Expected a recall from 0 to 1 of at least 1 row, got ${recall}.`);
  }
}
