import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { AnnMachine, BlockProduct } from '../../contracts/ann.ts';
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
    await warmUp(blockProduct);
    return await use({ threads: pool, blockProduct });
  } finally {
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
  }
}

/**
 * One product on each thread: no build is charged for loading the runtime, and no thread is ended while it loads, which would end
 * the process.
 */
async function warmUp(blockProduct: BlockProduct): Promise<void> {
  const one = (): Float32Array => new Float32Array(new SharedArrayBuffer(4));
  await Promise.all(Array.from({ length: blockProduct.size }, () => blockProduct.multiply(one(), one(), 1, one())));
}
