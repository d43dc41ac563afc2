import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { AnnMachine, BlockProduct } from '../../contracts/ann.ts';
import { Kernels } from '../../lib/ann/kernels/kernels.ts';
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
  const kernels = new Kernels();
  const at = kernels.allocate(64);
  const then = { name: 'heapSort', args: [at, at, 0] };
  const step = { rows: at, numRows: 1, queries: at, numQueries: 1, out: at + 4, then };
  await Promise.all(Array.from({ length: blockProduct.size }, () => blockProduct.run(kernels.memory, 1, [step])));
}
