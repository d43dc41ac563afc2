import { Worker } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { LookalikeError, errorMessage } from '../contracts/errors.ts';

/**
 * One worker for each of the options, all or none: when one cannot be made, those that were made are shut down, so that the
 * connection they share can be closed.
 * @throws LookalikeError `unavailable`, naming the queue and the reason
 */
export async function createWorkers(options: readonly WorkerOptions[]): Promise<Worker[]> {
  const made = await Promise.allSettled(options.map((each) => Worker.create(each)));
  const workers = made.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = made.findIndex(({ status }) => status === 'rejected');
  if (failed < 0) return workers;
  // A worker lets go of its connection only after it has run.
  await Promise.allSettled(workers.map((worker) => worker.runUntil(Promise.resolve())));
  const reason: unknown = (made[failed] as PromiseRejectedResult).reason;
  throw new LookalikeError(
    'unavailable',
    `Expected a worker for the queue "${options[failed]!.taskQueue}", and none could be made: ${errorMessage(reason)}`,
    {},
    { cause: reason },
  );
}
