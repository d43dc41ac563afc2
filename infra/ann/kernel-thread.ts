import { parentPort } from 'node:worker_threads';
import { instantiateKernels } from '../../lib/ann/kernels/kernels.ts';
import type { KernelExports } from '../../lib/ann/kernels/kernels.ts';
import type { KernelReply, KernelRequest } from './kernel-protocol.ts';

/** An instance for each memory that calls came for; `forget` drops one with its index. */
const instances = new Map<number, KernelExports>();

parentPort!.on('message', (request: KernelRequest) => {
  if (request.kind === 'forget') {
    instances.delete(request.memoryId);
    return;
  }
  let reply: KernelReply;
  try {
    let run = instances.get(request.memoryId);
    if (run === undefined) {
      run = instantiateKernels(request.memory as WebAssembly.Memory);
      instances.set(request.memoryId, run);
    }
    const kernel = run[request.name as keyof KernelExports] as ((...args: readonly number[]) => number) | undefined;
    if (kernel === undefined) throw new Error(`There is no kernel ${request.name}.`);
    reply = { result: kernel(...request.args) ?? 0 };
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  parentPort!.postMessage(reply);
});
