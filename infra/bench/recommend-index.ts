import { chooseIndex } from '../../lib/ann/auto.ts';
import type { AutoChoice } from '../../lib/ann/auto.ts';
import { randomFrom } from '../../lib/images/random.ts';
import { withMachine } from './bench-machine.ts';
import type { BenchOptions } from './bench-options.ts';
import { loadDataset } from './load-dataset.ts';
import type { UseStores } from './load-dataset.ts';
import { rowOf } from './vector-set.ts';
import type { VectorSet } from './vector-set.ts';

export interface RecommendInput extends Pick<BenchOptions, 'source' | 'metric' | 'k' | 'threads' | 'seed'> {
  recall: number;
  maxBytes: number | null;
}

/** Rows that candidates are built over: enough to see how they grow, few enough to take seconds. */
export const SAMPLE_ROWS = 20_000;

/** What index the vectors should have, by measuring on a sample of them. */
export async function recommendIndex(
  { source, metric, k, recall, maxBytes, threads, seed }: RecommendInput,
  { useStores, signal }: { useStores: UseStores; signal: AbortSignal },
): Promise<AutoChoice> {
  const options: BenchOptions = { source, metric, k, kinds: [], threads, seed, quick: true, python: null };
  const { rows } = await loadDataset(options, useStores, signal);
  const sample = sampleRows(rows, SAMPLE_ROWS, seed);
  return withMachine(threads, (machine) =>
    chooseIndex({
      ...{ sample, dim: rows.dim, numRows: rows.size, metric, k, recall, maxBytes, seed, machine, signal },
      now: () => performance.now(),
    }),
  );
}

/** `count` different rows, seeded; all of them where there are no more. */
function sampleRows(rows: VectorSet, count: number, seed: number): Float32Array {
  if (rows.size <= count) return rows.data;
  const random = randomFrom(seed);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(Math.floor(random() * rows.size));
  const sample = new Float32Array(count * rows.dim);
  [...chosen].forEach((row, i) => sample.set(rowOf(rows, row), i * rows.dim));
  return sample;
}
