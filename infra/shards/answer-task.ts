import { parentPort, workerData } from 'node:worker_threads';
import { errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import type { TaskMessage } from './heavy-task.ts';

/** The other side of `runHeavyTask` and `runTaskProcess`: computes once and reports how it went. */
export async function answerTask<Input, Result>(
  compute: (input: Input, onProgress: (done: number, total: number) => void) => Promise<Result>,
): Promise<void> {
  const tell = (message: TaskMessage<Result>): void => {
    if (parentPort !== null) parentPort.postMessage(message);
    else if (process.connected) process.send!(message);
  };
  try {
    const input = (parentPort === null ? await fromParent() : workerData) as Input;
    const result = await compute(input, (done, total) => tell({ type: 'progress', done, total }));
    tell({ type: 'done', result });
  } catch (error) {
    const known = isLookalikeError(error) ? error : undefined;
    const message = known?.message ?? (error instanceof Error ? (error.stack ?? error.message) : errorMessage(error));
    tell({ type: 'failed', code: known?.code ?? null, message, details: known?.details ?? {} });
  }
}

/** In a process of its own: what its parent sends first. Without its parent it has nobody to work for, and ends. */
function fromParent(): Promise<unknown> {
  process.once('disconnect', () => process.exit(1));
  return new Promise((resolve) => process.once('message', resolve));
}
