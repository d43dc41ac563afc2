import type { Client } from '@temporalio/client';
import { TASK_QUEUES } from '../../contracts/queues.ts';

/**
 * A poll lasts a minute at most. A trainer polls for parts of spread trainings however busy it is, so one that was not heard of for
 * longer is gone.
 */
const SILENT_MS = 75_000;
const ACTIVITIES = 2;

/** Trainers that ask the server for work, busy or not; one that was killed counts for a little more than a minute. */
export async function countLiveTrainers(client: Client, now: () => number = Date.now): Promise<number> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: TASK_QUEUES.replicas },
    taskQueueType: ACTIVITIES,
  });
  const living = (pollers ?? []).filter(({ lastAccessTime }) => {
    const heardAt = Number(lastAccessTime?.seconds ?? 0) * 1000;
    return now() - heardAt < SILENT_MS;
  });
  return new Set(living.map(({ identity }) => identity)).size;
}
