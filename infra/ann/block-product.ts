import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { BlockProduct, ProductStep } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';

export type ProductRequest =
  | { kind: 'steps'; memoryId: number; memory: object; dim: number; steps: readonly ProductStep[] }
  | { kind: 'forget'; memoryId: number }
  /** End when all that was asked before is done. */
  | { kind: 'close' };
export interface ProductReply {
  error?: string;
}

interface Thread {
  worker: Worker;
  /** What it was given and has not answered, in order. */
  waiting: { done: () => void; failed: (error: Error) => void }[];
}

/**
 * Threads that multiply with ONNX Runtime's matrix product, one core each. A thread that dies fails what it was given and is
 * replaced at the next use. They do not keep the process alive.
 */
export function startBlockProduct(size: number): BlockProduct & AsyncDisposable {
  const threads = new Set<Thread>();
  const memoryIds = new WeakMap<object, number>();
  let nextMemoryId = 1;
  let isClosed = false;

  /** Tells threads to drop a memory that nobody else holds any longer. */
  const forgotten = new FinalizationRegistry<number>((memoryId) => {
    for (const { worker } of threads) worker.postMessage({ kind: 'forget', memoryId } satisfies ProductRequest);
  });

  function idOf(memory: object): number {
    let id = memoryIds.get(memory);
    if (id === undefined) {
      id = nextMemoryId++;
      memoryIds.set(memory, id);
      forgotten.register(memory, id);
    }
    return id;
  }

  function start(): Thread {
    const worker = new Worker(new URL(`./block-product-thread${extname(import.meta.url)}`, import.meta.url));
    const thread: Thread = { worker, waiting: [] };
    const end = (error: Error): void => {
      threads.delete(thread);
      for (const { failed } of thread.waiting.splice(0)) failed(error);
    };
    worker.unref();
    worker.on('message', ({ error }: ProductReply) => {
      const job = thread.waiting.shift();
      if (thread.waiting.length === 0) worker.unref();
      if (error === undefined) job?.done();
      else job?.failed(new Error(`A matrix product failed: ${error}`));
    });
    worker.on('error', (error) => end(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => end(new Error('A thread of the matrix product ended.')));
    threads.add(thread);
    return thread;
  }

  for (let i = 0; i < size; i++) start();

  return {
    size,
    run(memory, dim, steps) {
      if (isClosed) {
        return Promise.reject(new LookalikeError('cancelled', 'The threads of the matrix product have been stopped.'));
      }
      while (threads.size < size) start();
      const least = [...threads].reduce((a, b) => (b.waiting.length < a.waiting.length ? b : a));
      return new Promise((done, failed) => {
        least.waiting.push({ done, failed });
        least.worker.ref();
        const request: ProductRequest = { kind: 'steps', memoryId: idOf(memory), memory, dim, steps };
        least.worker.postMessage(request);
      });
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await Promise.all(
        [...threads].map(({ worker }) => {
          worker.ref();
          worker.postMessage({ kind: 'close' } satisfies ProductRequest);
          return once(worker, 'exit');
        }),
      );
    },
  };
}
