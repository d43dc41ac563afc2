import type { AnnMachine, Metric } from '../../../contracts/ann.ts';
import { runCalls } from '../run-calls.ts';
import type { Call } from '../run-calls.ts';
import { MAX_LENGTH } from '../vectors.ts';
import type { Vectors } from '../vectors.ts';
import { kernelError, underflow } from './margin.ts';

/**
 * Rows as bytes, by which whole-number products tell which rows a query need not be compared with. How that is proved:
 * kernels/assembly/screen.ts.
 */
export interface Screen {
  /** Addresses: u8 [size, dim], f32 [size, 4] and f32 [dim]. */
  codes: number;
  facts: number;
  centre: number;
  /** Of the kernels. */
  shrink: number;
  underflow: number;
}

/** Rows of which the mean is the centre: any point would do, a central one leaves little to code. */
const CENTRE_ROWS = 4096;
/** Rows between two pauses, in which an abort can arrive. */
const PAUSE_ROWS = 1024;
/** Of the 4 GiB that an index may take, so that searches have room. */
const MAX_BYTES = 3.5 * 2 ** 30;

/** Codes the rows: dim + 16 bytes each. `undefined` where these find no room. @throws LookalikeError `cancelled` */
export async function screenRows(
  vectors: Vectors,
  metric: Metric,
  largestNorm: number,
  machine: AnnMachine,
  signal?: AbortSignal,
): Promise<Screen | undefined> {
  const { kernels, address, dim, size } = vectors;
  // A file may hold what no builder takes: longer rows.
  if (kernels.usedBytes + size * (dim + 16) > MAX_BYTES || !(largestNorm <= MAX_LENGTH)) return undefined;
  const mean = centreOf(vectors);
  const centreNorm = Math.sqrt(mean.reduce((sum, value) => sum + value ** 2, 0));
  const isL2 = metric === 'l2';
  const [codes, facts] = [kernels.allocate(size * dim), kernels.allocate(size * 16)];
  const centre = kernels.place(mean);
  // L2's errors are in proportion to squared distances, at most twice the sum of both squared norms.
  const shrink = 1 - 2 * kernelError(dim) - 2 ** -19;
  const rounding = isL2 ? 2 ** -45 : 1.0001 * kernelError(dim);
  const calls: Call[] = [];
  for (let from = 0; from < size; from += PAUSE_ROWS) {
    const part = [from, Math.min(size, from + PAUSE_ROWS)];
    const bounds = [centre, centreNorm, rounding, isL2 ? shrink : 0];
    calls.push({ name: 'screenRows', args: [address, dim, ...part, ...bounds, codes, facts] });
  }
  await runCalls(kernels, machine, calls, signal);
  return { codes, facts, centre, shrink, underflow: underflow(dim) };
}

function centreOf({ data, dim, size }: Vectors): Float32Array {
  const sum = new Float64Array(dim);
  const step = Math.max(1, Math.floor(size / CENTRE_ROWS));
  let count = 0;
  for (let row = 0; row < size; row += step) {
    for (let i = 0; i < dim; i++) sum[i]! += data[row * dim + i]!;
    count++;
  }
  return Float32Array.from(sum, (value) => value / Math.max(count, 1));
}
