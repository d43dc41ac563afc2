import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { LookalikeError } from '../../contracts/errors.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { childEnv } from '../config/env.ts';

/** What a heavy task says to whoever started it. */
export type TaskMessage<Result> =
  | { type: 'progress'; done: number; total: number }
  | { type: 'done'; result: Result }
  | { type: 'failed'; code: ErrorCode | null; message: string; details: JsonObject };

/** What runs beside this thread: it tells messages, errors and its end, and can be ended at any time. */
interface Runner<Result> {
  on(event: 'message', listener: (message: TaskMessage<Result>) => void): unknown;
  once(event: 'error', listener: (error: Error) => void): unknown;
  once(event: 'exit', listener: (code: number | null) => void): unknown;
}

type OnProgress = (done: number, total: number) => void;

/**
 * Runs a module, named from this folder, in a thread of its own, so that heartbeats and queries go on beside it. An abort ends the thread
 * at once, wherever it is: a module that loads a native runtime is for {@link runTaskProcess}.
 * @throws LookalikeError `cancelled`, or what the task failed with
 */
export async function runHeavyTask<Result>(
  module: string,
  input: object,
  signal?: AbortSignal,
  onProgress?: OnProgress,
): Promise<Result> {
  if (signal?.aborted === true) throw stopped();
  const worker = new Worker(urlOf(module), { workerData: input });
  try {
    return await resultOf<Result>(worker, module, signal, onProgress);
  } finally {
    await worker.terminate();
  }
}

/**
 * The same in a process of its own, which ends with this one. ONNX Runtime aborts the process whose thread is ended while it computes
 * or loads, so what uses it can be stopped only so.
 * @throws LookalikeError `cancelled`, or what the task failed with
 */
export async function runTaskProcess<Result>(
  module: string,
  input: object,
  signal?: AbortSignal,
  onProgress?: OnProgress,
): Promise<Result> {
  if (signal?.aborted === true) throw stopped();
  const child = fork(fileURLToPath(urlOf(module)), {
    env: childEnv({}),
    // As structured clones, not as JSON: typed arrays arrive as such.
    serialization: 'advanced',
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  try {
    // A process that could not be started, or has ended, is told of by its events.
    child.send(input, () => undefined);
    return await resultOf<Result>(child, module, signal, onProgress);
  } finally {
    child.kill('SIGKILL');
  }
}

/** The same extension as this file: .ts from source, .js when built. */
function urlOf(module: string): URL {
  return new URL(`./${module}${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);
}

function resultOf<Result>(
  runner: Runner<Result>,
  module: string,
  signal?: AbortSignal,
  onProgress?: OnProgress,
): Promise<Result> {
  return new Promise<Result>((resolve, reject) => {
    const abort = (): void => reject(stopped());
    signal?.addEventListener('abort', abort, { once: true });
    runner.on('message', (message) => {
      switch (message.type) {
        case 'progress':
          return onProgress?.(message.done, message.total);
        case 'done':
          return resolve(message.result);
        case 'failed':
          return reject(
            message.code === null
              ? new Error(message.message)
              : new LookalikeError(message.code, message.message, message.details),
          );
      }
    });
    runner.once('error', reject);
    runner.once('exit', (code) => {
      signal?.removeEventListener('abort', abort);
      reject(new Error(`What ran ${module} ended with code ${code} before it answered.`));
    });
  });
}

function stopped(): LookalikeError {
  return new LookalikeError('cancelled', 'The task was asked to stop.');
}
