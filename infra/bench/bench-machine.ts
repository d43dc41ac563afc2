import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { AnnMachine } from '../../contracts/ann.ts';
import { startBlockProduct } from '../ann/block-product.ts';
import { startKernelThreads } from '../ann/kernel-threads.ts';

/**
 * Lends threads for one comparison, and afterwards gives the memory of its indices back. V8 sees only the handles of
 * WebAssembly memories, which weigh nothing: left alone, it would keep gigabytes of them; and a thread that ran on one holds it.
 */
export async function withMachine<T>(threads: number, use: (machine: AnnMachine) => Promise<T>): Promise<T> {
  try {
    await using pool = startKernelThreads(threads);
    await using blockProduct = startBlockProduct(threads);
    return await use({ threads: pool, blockProduct });
  } finally {
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
  }
}
