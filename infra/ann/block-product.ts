import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { BlockProduct } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';

/** Arrays over shared memory: the thread reads and writes them in place. */
export interface ProductRequest {
  rows: Float32Array;
  queries: Float32Array;
  dim: number;
  out: Float32Array;
}
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
  let isClosed = false;

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
    multiply(rows, queries, dim, out) {
      if (isClosed) {
        return Promise.reject(new LookalikeError('cancelled', 'The threads of the matrix product have been stopped.'));
      }
      if (![rows, queries, out].every(({ buffer }) => buffer instanceof SharedArrayBuffer)) {
        return Promise.reject(new Error('Expected matrices over shared memory, got one that is not.'));
      }
      while (threads.size < size) start();
      const least = [...threads].reduce((a, b) => (b.waiting.length < a.waiting.length ? b : a));
      return new Promise((done, failed) => {
        least.waiting.push({ done, failed });
        least.worker.ref();
        least.worker.postMessage({ rows, queries, dim, out } satisfies ProductRequest);
      });
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await Promise.all([...threads].map(({ worker }) => worker.terminate()));
    },
  };
}
