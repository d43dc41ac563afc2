import { parentPort, workerData } from 'node:worker_threads';
import { errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import type { TaskMessage } from './heavy-task.ts';

/** The thread's side of `runHeavyTask`: computes once and reports how it went. */
export async function answerTask<Input, Result>(
  compute: (input: Input, onProgress: (done: number, total: number) => void) => Promise<Result>,
): Promise<void> {
  const tell = (message: TaskMessage<Result>): void => parentPort?.postMessage(message);
  try {
    const result = await compute(workerData as Input, (done, total) => tell({ type: 'progress', done, total }));
    tell({ type: 'done', result });
  } catch (error) {
    const known = isLookalikeError(error) ? error : undefined;
    const message = known?.message ?? (error instanceof Error ? (error.stack ?? error.message) : errorMessage(error));
    tell({ type: 'failed', code: known?.code ?? null, message, details: known?.details ?? {} });
  }
}
