import type { AnnIndex, Neighbours, SearchOptions } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { throwIfAborted } from './rows.ts';

/** Queries between two pauses, in which an abort can arrive. */
const PAUSE_QUERIES = 16;

/** Answers query after query on the caller's thread. */
export async function searchEach(
  index: Pick<AnnIndex, 'search' | 'dim'>,
  queries: Float32Array,
  options: SearchOptions,
): Promise<Neighbours[]> {
  const count = numQueries(queries, index.dim);
  const answers: Neighbours[] = [];
  for (let i = 0; i < count; i++) {
    if (i % PAUSE_QUERIES === PAUSE_QUERIES - 1) await new Promise((resume) => setImmediate(resume));
    throwIfAborted(options.signal);
    answers.push(index.search(queries.subarray(i * index.dim, (i + 1) * index.dim), options));
  }
  return answers;
}

/** @throws LookalikeError `dimensionMismatch` when the batch is not a whole number of rows */
export function numQueries(queries: Float32Array, dim: number): number {
  if (queries.length % dim === 0) return queries.length / dim;
  throw new LookalikeError(
    'dimensionMismatch',
    `Expected a batch of queries of ${dim} dimensions each, got ${queries.length} numbers.`,
  );
}
