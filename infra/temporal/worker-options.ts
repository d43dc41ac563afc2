import type { WorkerOptions } from '@temporalio/worker';
import { dataConverter } from './data-converter.ts';

/** What every worker of this project needs; measured reasons beside each. */
export const workerDefaults = {
  dataConverter,
  // The default (0.8 x heartbeat timeout) delays cancels and resume points by as much.
  maxHeartbeatThrottleInterval: '500 milliseconds',
  // After a worker's kill its cached workflows wait this long for it; the default is ten seconds.
  stickyQueueScheduleToStartTimeout: '1 second',
  // Time for activities in flight before they are cancelled, and before the process gives up on them.
  shutdownGraceTime: '2 seconds',
  // Together with what a searcher does afterwards (4.5 s at most) it stays below the supervisor's 15 s.
  shutdownForceTime: '8 seconds',
} satisfies Partial<WorkerOptions>;
