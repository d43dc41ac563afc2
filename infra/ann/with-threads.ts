import { availableParallelism } from 'node:os';
import type { AnnMachine } from '../../contracts/ann.ts';
import { startKernelThreads } from './kernel-threads.ts';

/** Fewer rows are done before threads have started. */
const WORTH_ROWS = 5_000;

/** Lends a thread for each core to what works on `numRows` rows, where that pays, and ends them afterwards. */
export async function withThreads<T>(numRows: number, use: (machine: AnnMachine) => Promise<T>): Promise<T> {
  const cores = availableParallelism();
  if (numRows < WORTH_ROWS || cores < 2) return use({});
  await using threads = startKernelThreads(cores);
  // Awaited here: the threads are ended as soon as this function is left.
  return await use({ threads });
}
