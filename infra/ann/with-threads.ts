import { availableParallelism } from 'node:os';
import type { AnnMachine } from '../../contracts/ann.ts';
import { startBlockProduct } from './block-product.ts';
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

/**
 * As {@link withThreads}, and a block product with them, also on one core. For what runs in a process of its own: that is the only way to
 * stop it in the middle.
 */
export async function withProducts<T>(numRows: number, use: (machine: AnnMachine) => Promise<T>): Promise<T> {
  if (numRows < WORTH_ROWS) return use({});
  await using blockProduct = startBlockProduct(availableParallelism());
  return await withThreads(numRows, (machine) => use({ ...machine, blockProduct }));
}
