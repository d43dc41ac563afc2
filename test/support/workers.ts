import { TASK_QUEUES, searchQueue } from '../../contracts/queues.ts';
import { fakeActivities, fakeSearchHost } from './fake-activities.ts';
import type { AllActivities, FakeWorld } from './fake-activities.ts';
import { bundled } from './temporal-env.ts';
import type { RunningWorker, TemporalEnv } from './temporal-env.ts';

/** One worker per queue over the same fakes. */
export async function startFakeWorkers(
  env: TemporalEnv,
  world: FakeWorld,
  serve?: AllActivities['serveGeneration'],
): Promise<RunningWorker> {
  const activities = fakeActivities(world, serve);
  const workers = await Promise.all(
    Object.values(TASK_QUEUES).map((taskQueue) =>
      env.startWorker({ taskQueue, activities, ...(taskQueue === TASK_QUEUES.orchestrator && bundled()) }),
    ),
  );
  return {
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()));
    },
  };
}

export function startFakeHost(env: TemporalEnv, world: FakeWorld, host: string): Promise<RunningWorker> {
  return env.startWorker({
    taskQueue: searchQueue(host),
    activities: fakeSearchHost(world, host),
    maxConcurrentActivityTaskExecutions: 100,
  });
}
