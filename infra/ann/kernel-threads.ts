import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { KernelCall, KernelThreads } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { KernelReply, KernelRequest } from './kernel-protocol.ts';

interface Job {
  memoryId: number;
  memory: object;
  name: string;
  args: readonly number[];
  done: (result: number) => void;
  failed: (error: Error) => void;
}

/**
 * Threads that run index kernels. Each takes the next call when it has ended its last; a thread that dies fails its call
 * and is replaced when there is one to run. They do not keep the process alive.
 */
export function startKernelThreads(size: number): KernelThreads & AsyncDisposable {
  const waiting: Job[] = [];
  const idle: Worker[] = [];
  const busy = new Map<Worker, Job>();
  const memoryIds = new WeakMap<object, number>();
  let nextMemoryId = 1;
  let isClosed = false;

  /** Tells threads to drop the instance of a memory that nobody holds any longer. */
  const forgotten = new FinalizationRegistry<number>((memoryId) => {
    for (const worker of [...idle, ...busy.keys()]) {
      worker.postMessage({ kind: 'forget', memoryId } satisfies KernelRequest);
    }
  });

  function start(): void {
    const worker = new Worker(new URL(`./kernel-thread${extname(import.meta.url)}`, import.meta.url));
    worker.unref();
    worker.on('message', (reply: KernelReply) => {
      const job = busy.get(worker);
      busy.delete(worker);
      give(worker);
      if (job === undefined) return;
      if ('error' in reply) job.failed(new Error(reply.error));
      else job.done(reply.result);
    });
    worker.on('error', (error) => end(worker, error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => end(worker, new Error('A kernel thread ended.')));
    give(worker);
  }

  function end(worker: Worker, error: Error): void {
    const at = idle.indexOf(worker);
    const job = busy.get(worker);
    if (at < 0 && job === undefined) return;
    if (at >= 0) idle.splice(at, 1);
    busy.delete(worker);
    job?.failed(error);
    // Only for what waits: a thread that cannot start would else be started without end.
    if (!isClosed && waiting.length > 0) start();
  }

  function give(worker: Worker): void {
    const job = waiting.shift();
    if (job === undefined) {
      worker.unref();
      idle.push(worker);
      return;
    }
    busy.set(worker, job);
    worker.ref();
    const { memoryId, memory, name, args } = job;
    worker.postMessage({ kind: 'call', memoryId, memory, name, args } satisfies KernelRequest);
  }

  function idOf(memory: object): number {
    let id = memoryIds.get(memory);
    if (id === undefined) {
      id = nextMemoryId++;
      memoryIds.set(memory, id);
      forgotten.register(memory, id);
    }
    return id;
  }

  for (let i = 0; i < size; i++) start();

  return {
    size,
    async run(memory, calls: readonly KernelCall[], signal) {
      if (isClosed) throw new LookalikeError('cancelled', 'The kernel threads have been stopped.');
      const memoryId = idOf(memory);
      const jobs: Job[] = [];
      const stop = (): void => {
        for (const job of jobs) {
          const at = waiting.indexOf(job);
          if (at < 0) continue;
          waiting.splice(at, 1);
          job.done(0);
        }
      };
      const results = calls.map(
        ({ name, args }) =>
          new Promise<number>((done, failed) => {
            const job = { memoryId, memory, name, args, done, failed };
            jobs.push(job);
            waiting.push(job);
          }),
      );
      while (idle.length + busy.size < size) start();
      while (idle.length > 0 && waiting.length > 0) give(idle.pop()!);
      signal?.addEventListener('abort', stop, { once: true });
      if (signal?.aborted === true) stop();
      // What a thread has begun reads and writes the memory: nobody may go on before all of it has ended.
      const settled = await Promise.allSettled(results);
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted === true) throw new LookalikeError('cancelled', 'The index was asked to stop.');
      return settled.map((one) => {
        if (one.status === 'rejected') throw one.reason;
        return one.value;
      });
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      for (const job of waiting.splice(0))
        job.failed(new LookalikeError('cancelled', 'The kernel threads were stopped.'));
      await Promise.all([...idle, ...busy.keys()].map((worker) => worker.terminate()));
    },
  };
}
