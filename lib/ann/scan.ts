import type { SearchOptions } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Score } from './distance.ts';
import { TopK } from './top-k.ts';
import type { Vectors } from './vectors.ts';

/** Rows between two looks at the abort signal: about a millisecond of work at 256 dimensions. */
const BLOCK_ROWS = 4096;

/**
 * The `k` best rows by comparing the prepared query with every allowed row: exact, and the oracle of all other kinds.
 * @throws LookalikeError `cancelled`
 */
export function scan(
  { data, dim, size }: Vectors,
  score: Score,
  query: Float32Array,
  { k, allowed, signal }: Pick<SearchOptions, 'k' | 'allowed' | 'signal'>,
): { rows: Int32Array; scores: Float32Array } {
  const best = new TopK(Math.min(k, size));
  for (let start = 0; start < size; start += BLOCK_ROWS) {
    throwIfAborted(signal);
    const end = Math.min(start + BLOCK_ROWS, size);
    if (allowed === undefined) {
      for (let row = start; row < end; row++) best.push(score(query, data, row * dim, dim), row);
    } else {
      scanAllowed(allowed, start, end, (row) => best.push(score(query, data, row * dim, dim), row));
    }
  }
  return best.drain();
}

/** Visits the set bits word by word, so that a sparse filter costs what it lets through. `start` is a multiple of 32. */
function scanAllowed(allowed: Uint32Array, start: number, end: number, visit: (row: number) => void): void {
  for (let first = start; first < end; first += 32) {
    let word = allowed[first >>> 5]!;
    if (end - first < 32) word &= (1 << (end - first)) - 1;
    while (word !== 0) {
      const lowest = word & -word;
      visit(first + 31 - Math.clz32(lowest));
      word ^= lowest;
    }
  }
}

/** @throws LookalikeError `cancelled` */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new LookalikeError('cancelled', 'The index was asked to stop.');
}
