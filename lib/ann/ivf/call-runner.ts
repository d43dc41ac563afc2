import type { AnnMachine } from '../../../contracts/ann.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { runCalls } from '../run-calls.ts';
import type { Call } from '../run-calls.ts';

/** Runs kernels on one memory and waits for all of them. @throws LookalikeError `cancelled` */
export type RunCalls = (calls: readonly Call[]) => Promise<void>;

export function callRunner(kernels: Kernels, machine: AnnMachine, signal?: AbortSignal): RunCalls {
  return (calls) => runCalls(kernels, machine, calls, signal);
}
