import type { AnnMachine, KernelCall } from '../../contracts/ann.ts';
import type { Kernels } from './kernels/kernels.ts';
import type { KernelName } from './kernels/wasm-module.ts';
import { throwIfAborted } from './rows.ts';

export type Call = KernelCall & { name: KernelName };

/**
 * Runs kernel calls that do not depend on one another: on the machine's threads, or one by one on the caller's with a pause
 * before each, in which an abort can arrive.
 * @throws LookalikeError `cancelled`
 */
export async function runCalls(
  kernels: Kernels,
  machine: AnnMachine,
  calls: readonly Call[],
  signal?: AbortSignal,
): Promise<void> {
  throwIfAborted(signal);
  if (machine.threads !== undefined) {
    await machine.threads.run(kernels.memory, calls, signal);
    return;
  }
  for (const { name, args } of calls) {
    await new Promise((resume) => setImmediate(resume));
    throwIfAborted(signal);
    kernels.run[name](...args);
  }
}
