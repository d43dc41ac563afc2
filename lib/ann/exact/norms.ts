import { throwIfAborted } from '../rows.ts';
import type { Vectors } from '../vectors.ts';

export interface Norms {
  /** Address of f32 [size]: half of each row's squared norm, which a comparison by L2 takes off; 0 where it need not. */
  halves: number;
  /** Of the longest row. */
  largest: number;
}

/** Rows between two pauses, in which an abort can arrive. */
const PAUSE_ROWS = 8192;

/** Goes through the rows once. @throws LookalikeError `cancelled` */
export async function measureNorms(vectors: Vectors, keepHalves: boolean, signal?: AbortSignal): Promise<Norms> {
  const { kernels, address, dim, size } = vectors;
  const halves = keepHalves ? kernels.allocate(size * 4) : 0;
  let largest = 0;
  for (let from = 0; from < size; from += PAUSE_ROWS) {
    if (from > 0) await new Promise((resume) => setImmediate(resume));
    throwIfAborted(signal);
    const to = Math.min(from + PAUSE_ROWS, size);
    largest = Math.max(largest, kernels.run.halfNorms(address, dim, from, to, halves));
  }
  return { halves, largest: Math.sqrt(2 * largest) };
}
