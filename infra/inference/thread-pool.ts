import { Worker } from 'node:worker_threads';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { AnswerMessage, ReadyMessage, RequestMessage, ThreadAnswer, ThreadRequest } from './protocol.ts';

/** Online work is a person waiting, changed work an item that is to be found within seconds; batch work fills what is left. */
export type Priority = 'online' | 'changed' | 'batch';

export interface PoolOptions {
  /** Module that each thread runs. */
  entry: URL;
  numThreads: number;
  workerData: unknown;
  onCrash?: (error: Error) => void;
}

export interface PoolAnswer {
  answer: ThreadAnswer;
  queueMs: number;
}

interface Task {
  request: ThreadRequest;
  priority: Priority;
  signal: AbortSignal | undefined;
  queuedAt: number;
  startedAt: number;
  /** Crashes of threads that worked on it. */
  crashes: number;
  resolve(answer: PoolAnswer): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  /** Loaded: without it, a crash is the runtime's. */
  ready: boolean;
  inFlight: Map<number, Task>;
}

/** Batch pictures that a thread has at once: one is inferred while the next are decoded. */
const BATCH_IN_FLIGHT = 3;
/** Room that only online work may take, so that it never waits for a whole batch turn. */
const ONLINE_EXTRA = 1;

/**
 * Threads that answer requests, online before changed before batch, each with a few in flight. When a thread dies, what it held is tried
 * once more, alone on a thread, so that a harmless neighbour is not blamed; what kills a thread twice is rejected. Only threads
 * that work are evidence against a picture: when they do not load, or have computed nothing yet, the call fails instead.
 */
export class ThreadPool {
  private readonly options: PoolOptions;
  private readonly threads = new Set<Thread>();
  private readonly queues: Record<Priority, Task[]> = { online: [], changed: [], batch: [] };
  private nextId = 0;
  /** Whether a vector came since a thread last failed to load: the runtime works. */
  private isProven = false;
  private closed = false;

  constructor(options: PoolOptions) {
    this.options = options;
  }

  /** @throws LookalikeError `cancelled` | `missingDependency` the threads do not load | `unavailable`, also after {@link close} */
  run(request: ThreadRequest, priority: Priority, signal?: AbortSignal): Promise<PoolAnswer> {
    if (this.closed)
      return Promise.reject(new LookalikeError('unavailable', 'Expected an open embedder, it was closed.'));
    if (signal?.aborted) return Promise.reject(cancelled());
    return new Promise((resolve, reject) => {
      const task: Task = {
        request,
        priority,
        signal,
        queuedAt: performance.now(),
        startedAt: 0,
        crashes: 0,
        resolve,
        reject,
      };
      const onAbort = (): void => this.dropQueued(task);
      signal?.addEventListener('abort', onAbort, { once: true });
      task.resolve = (answer) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(answer);
      };
      task.reject = (error) => {
        signal?.removeEventListener('abort', onAbort);
        reject(error);
      };
      this.queues[priority].push(task);
      this.dispatch();
    });
  }

  /** Rejects what is queued, waits for what is in flight, ends the threads. */
  async close(): Promise<void> {
    this.closed = true;
    for (const queue of Object.values(this.queues)) {
      for (const task of queue.splice(0)) task.reject(cancelled());
    }
    await Promise.all([...this.threads].map((thread) => this.drain(thread)));
  }

  private async drain(thread: Thread): Promise<void> {
    while (thread.inFlight.size > 0 && this.threads.has(thread)) {
      await new Promise((resolve) => thread.worker.once('message', resolve).once('exit', resolve));
    }
    this.threads.delete(thread);
    await thread.worker.terminate();
  }

  private dispatch(): void {
    for (const priority of ['online', 'changed', 'batch'] as const) {
      const queue = this.queues[priority];
      while (queue.length > 0) {
        const thread = this.threadFor(queue[0]!);
        if (thread === undefined) break;
        this.send(thread, queue.shift()!);
      }
    }
  }

  /** The least busy thread with room for the task; a new one while there are fewer than configured. */
  private threadFor(task: Task): Thread | undefined {
    const idlest = [...this.threads].sort((a, b) => a.inFlight.size - b.inFlight.size)[0];
    if (idlest?.inFlight.size === 0) return idlest;
    if (this.threads.size < this.options.numThreads) return this.start();
    if (idlest === undefined || task.crashes > 0) return undefined;
    const isTaken = [...idlest.inFlight.values()].some((other) => other.crashes > 0);
    const room = BATCH_IN_FLIGHT + (task.priority === 'online' ? ONLINE_EXTRA : 0);
    return !isTaken && idlest.inFlight.size < room ? idlest : undefined;
  }

  private send(thread: Thread, task: Task): void {
    const id = this.nextId++;
    task.startedAt = performance.now();
    thread.inFlight.set(id, task);
    thread.worker.postMessage({ id, request: task.request } satisfies RequestMessage);
  }

  private start(): Thread {
    const worker = new Worker(this.options.entry, { workerData: this.options.workerData });
    const thread: Thread = { worker, ready: false, inFlight: new Map() };
    worker.on('message', (message: AnswerMessage | ReadyMessage) => {
      thread.ready = true;
      if ('ready' in message) return;
      const { id, answer } = message;
      this.isProven ||= answer.kind === 'embedded' || answer.kind === 'headApplied';
      const task = thread.inFlight.get(id)!;
      thread.inFlight.delete(id);
      task.resolve({ answer, queueMs: task.startedAt - task.queuedAt });
      this.dispatch();
    });
    let cause: Error | undefined;
    worker.on('error', (error) => (cause = error instanceof Error ? error : new Error(errorMessage(error))));
    worker.on('exit', (code) =>
      this.onExit(thread, cause ?? new Error(`An embedding thread exited with code ${code}.`)),
    );
    this.threads.add(thread);
    return thread;
  }

  private onExit(thread: Thread, cause: Error): void {
    if (!this.threads.delete(thread)) return;
    this.options.onCrash?.(cause);
    if (!thread.ready) return this.failToLoad(thread, cause);
    for (const task of thread.inFlight.values()) {
      task.crashes++;
      if (task.crashes > 1) {
        if (!this.isProven || isOutOfMemory(cause)) {
          task.reject(broken('unavailable', 'work', cause));
          continue;
        }
        const reason = `Expected to embed the picture; the thread that tried ended twice: ${cause.message}`;
        task.resolve({ answer: { kind: 'rejected', reason }, queueMs: task.startedAt - task.queuedAt });
      } else if (this.closed) task.reject(cancelled());
      else this.queues[task.priority].unshift(task);
    }
    thread.inFlight.clear();
    this.dispatch();
  }

  /** What the thread held fails, and what is queued too unless other threads are there for it. The next call tries anew. */
  private failToLoad(thread: Thread, cause: Error): void {
    this.isProven = false;
    const error = broken(isMissing(cause) ? 'missingDependency' : 'unavailable', 'load', cause);
    for (const task of thread.inFlight.values()) task.reject(this.closed ? cancelled() : error);
    thread.inFlight.clear();
    if (![...this.threads].some(({ ready }) => ready)) {
      for (const queue of Object.values(this.queues)) for (const task of queue.splice(0)) task.reject(error);
    }
    this.dispatch();
  }

  private dropQueued(task: Task): void {
    const queue = this.queues[task.priority];
    const at = queue.indexOf(task);
    if (at < 0) return;
    queue.splice(at, 1);
    task.reject(cancelled());
  }
}

function codeOf(error: Error): unknown {
  return (error as NodeJS.ErrnoException).code;
}

function isMissing(cause: Error): boolean {
  return ['ERR_DLOPEN_FAILED', 'ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].some((code) => codeOf(cause) === code);
}

function isOutOfMemory(cause: Error): boolean {
  return codeOf(cause) === 'ERR_WORKER_OUT_OF_MEMORY';
}

function broken(code: 'missingDependency' | 'unavailable', what: 'load' | 'work', cause: Error): LookalikeError {
  const message = `Expected embedding threads that ${what}, but one ended: ${cause.message}. Run \`lookalike doctor\` on this machine.`;
  return new LookalikeError(code, message, {}, { cause });
}

function cancelled(): LookalikeError {
  return new LookalikeError('cancelled', 'Embedding was cancelled before the picture was started.');
}
