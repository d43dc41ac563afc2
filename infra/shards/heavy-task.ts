import { Worker } from 'node:worker_threads';
import { LookalikeError } from '../../contracts/errors.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';

/** What a heavy task's thread says to the one that started it. */
export type TaskMessage<Result> =
  | { type: 'progress'; done: number; total: number }
  | { type: 'done'; result: Result }
  | { type: 'failed'; code: ErrorCode | null; message: string; details: JsonObject };

/**
 * Runs a module, named from this folder, in a thread of its own, so that heartbeats and queries go on beside it. An abort ends the thread
 * at once, wherever it is.
 * @throws LookalikeError `cancelled`, or what the task failed with
 */
export function runHeavyTask<Result>(
  module: string,
  input: object,
  signal?: AbortSignal,
  onProgress?: (done: number, total: number) => void,
): Promise<Result> {
  if (signal?.aborted === true) return Promise.reject(stopped());
  // The same extension as this file: .ts from source, .js when built.
  const url = new URL(`./${module}${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);
  const worker = new Worker(url, { workerData: input });
  return new Promise<Result>((resolve, reject) => {
    const abort = (): void => reject(stopped());
    signal?.addEventListener('abort', abort, { once: true });
    worker.on('message', (message: TaskMessage<Result>) => {
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
    worker.once('error', reject);
    worker.once('exit', (code) => {
      signal?.removeEventListener('abort', abort);
      reject(new Error(`The thread of ${module} ended with code ${code} before it answered.`));
    });
  }).finally(() => worker.terminate());
}

function stopped(): LookalikeError {
  return new LookalikeError('cancelled', 'The task was asked to stop.');
}
