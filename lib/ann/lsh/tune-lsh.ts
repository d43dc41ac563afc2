import type { AnnMachine, LshSpec } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { throwIfAborted } from '../rows.ts';
import { VectorCollector } from '../vectors.ts';
import { lsh } from './lsh.ts';
import type { LshIndex } from './lsh.ts';
import { shapeOf } from './tables.ts';

export interface TuneLshInput {
  /** f32 [numSample, dim]: rows like those of the index, in no order. 3,000 to 10,000 are enough; a few more are only slower. */
  sample: Float32Array;
  dim: number;
  metric: LshSpec['metric'];
  /** Recall@k to reach, 0..1. */
  wantedRecall: number;
  /** Rows that the index will hold. */
  size: number;
  k?: number;
  /** Bound of the memory for tables: 4 to 8 bytes a row each. Default 32. */
  maxTables?: number;
  seed: number;
  machine?: AnnMachine;
  signal?: AbortSignal;
}

export interface LshTrial {
  spec: LshSpec;
  recall: number;
  /** Share of the rows that a query is compared with. */
  share: number;
  /** Estimated work of a query over `size` rows, in comparisons of a row. */
  cost: number;
}

export interface TunedLsh extends LshTrial {
  /** A sentence: what was tried, what is expected, and why this is it. */
  why: string;
  /** The cheapest for each shape of tables, cheapest first. */
  trials: LshTrial[];
}

/** Rows of the sample that ask. */
const NUM_QUERIES = 200;
/** Beyond this share of the rows hashing is no help. */
const MAX_SHARE = 0.5;
/** Work of reading one bucket, in multiplications: a few cache misses. */
const BUCKET_WORK = 150;
/** The same of a candidate beside its dimensions. */
const CANDIDATE_WORK = 40;

/**
 * The cheapest family, number of tables, key length and probes that reach a recall, found by measuring on a sample. A bucket
 * holds the same share of a sample as of all rows. Neighbours are further off in a sample: its k m / n nearest are about as
 * near as the k nearest of all n rows, so the recall of those is what is measured.
 * @throws LookalikeError `invalidInput` when the sample is too small, or no shape reaches the recall on half of the rows
 */
export async function tuneLsh(input: TuneLshInput): Promise<TunedLsh> {
  const { sample, dim, metric, wantedRecall, size, machine = {}, signal } = input;
  const numSample = sample.length / dim;
  if (!Number.isInteger(numSample) || numSample < 5 * NUM_QUERIES) {
    throw new LookalikeError(
      'invalidInput',
      `Expected a sample of at least ${5 * NUM_QUERIES} rows of ${dim} dimensions, got ${numSample}.`,
    );
  }
  const every = Math.floor(numSample / NUM_QUERIES);
  const isQuery = (row: number): boolean => row % every === 0 && row / every < NUM_QUERIES;
  const queries: Float32Array[] = [];
  const collector = new VectorCollector(dim, metric);
  for (let row = 0; row < numSample; row++) {
    const vector = sample.subarray(row * dim, (row + 1) * dim);
    if (isQuery(row)) queries.push(vector);
    else collector.add(vector);
  }
  const vectors = collector.finish();
  const k = Math.max(1, Math.round((input.k ?? 10) * Math.min(1, vectors.size / size)));
  const trials: LshTrial[] = [];
  let truth: Set<number>[] | undefined;
  for (const spec of shapes(input)) {
    throwIfAborted(signal);
    await vectors.kernels.scratchAsync(async () => {
      const index = (await lsh.build(spec, vectors, { machine, signal })) as LshIndex;
      truth ??= queries.map((query) => new Set(index.search(query, { k, exact: true }).rows));
      const trial = leastProbes(index, queries, truth, k, input);
      if (trial !== undefined) trials.push(trial);
    });
  }
  trials.sort((a, b) => a.cost - b.cost);
  const best = trials[0];
  if (best === undefined) {
    throw new LookalikeError(
      'invalidInput',
      `Expected some tables to reach recall ${wantedRecall} by comparing at most half of the rows, and none did. ` +
        'Raise maxTables, ask for less, or use hnsw or exact.',
    );
  }
  return { ...best, trials, why: explain(best, trials, numSample, input) };
}

/** Keys about as long as it takes for a bucket to hold a row: shorter and longer by a few bits, few and many tables. */
function* shapes({ metric, dim, size, maxTables = 32, seed }: TuneLshInput): Generator<LshSpec> {
  const perRow = Math.log2(Math.max(2, size));
  for (const tables of [8, 16, 32, 64].filter((count) => count <= Math.max(8, maxTables))) {
    for (const extra of [-4, -1, 2]) {
      const bits = Math.min(32, Math.max(1, Math.round(perRow + extra)));
      yield { kind: 'lsh', metric, family: 'hyperplane', tables, bits, probes: tables, seed };
    }
    const one: LshSpec = { kind: 'lsh', metric, family: 'crossPolytope', tables, bits: 1, probes: tables, seed };
    const { functionBits } = shapeOf(one, dim);
    for (let bits = 1; bits * functionBits <= Math.min(32, perRow + 6); bits++) {
      if (bits * functionBits >= perRow - 8) yield { ...one, bits };
    }
  }
}

/** Doubles the probes until the recall is reached. */
function leastProbes(
  index: LshIndex,
  queries: readonly Float32Array[],
  truth: readonly ReadonlySet<number>[],
  k: number,
  { wantedRecall, size, dim }: TuneLshInput,
): LshTrial | undefined {
  const { numRotations, width } = shapeOf(index.spec, dim);
  // Four numbers at a time, in hashing as in comparing.
  const hashing = 3 * numRotations * width * Math.log2(width);
  for (let probes = Math.max(1, index.spec.tables >> 1); probes <= 1 << 17; probes *= 2) {
    let found = 0;
    let compared = 0;
    for (const [i, query] of queries.entries()) {
      const { rows, visited } = index.search(query, { k, probes });
      found += rows.reduce((sum, row) => sum + (truth[i]!.has(row) ? 1 : 0), 0);
      compared += visited!;
    }
    const share = compared / queries.length / index.size;
    if (share > MAX_SHARE && probes >= index.spec.tables) return undefined;
    const recall = found / queries.length / Math.min(k, index.size);
    if (recall < wantedRecall || share > MAX_SHARE) continue;
    const work = hashing + probes * BUCKET_WORK + share * size * (dim + CANDIDATE_WORK);
    return { spec: { ...index.spec, probes }, recall, share, cost: work / dim };
  }
  return undefined;
}

function explain(best: LshTrial, trials: readonly LshTrial[], numSample: number, input: TuneLshInput): string {
  const { spec, recall, share, cost } = best;
  const other = trials.find((trial) => trial.spec.family !== spec.family);
  const percent = (value: number): string => `${(100 * value).toPrecision(2)} %`;
  const rival =
    other === undefined
      ? ''
      : ` The best ${other.spec.family} tables cost ${(other.cost / cost).toFixed(1)} times that.`;
  return (
    `${spec.family} with ${spec.tables} tables of ${spec.bits} and ${spec.probes} probes: the cheapest of ${trials.length} shapes ` +
    `that reach recall@${input.k ?? 10} ${input.wantedRecall} on ${numSample} sampled rows (${recall.toFixed(3)}), by comparing ` +
    `${percent(share)} of the rows: about ${percent(cost / input.size)} of the work of a scan over ${input.size}.${rival}`
  );
}
