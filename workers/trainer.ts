import { createBuildActivities } from '../activities/build.ts';
import { createSimilarActivities } from '../activities/similar.ts';
import { createTrainActivities } from '../activities/train.ts';
import { TASK_QUEUES } from '../contracts/queues.ts';
import { runTraining } from '../infra/training/run-training.ts';
import { runWorkerProcess } from './run.ts';

/** Models and indices: one training at a time, and the builds. */
await runWorkerProcess('trainer', ({ config, stores }) => ({
  workers: [
    {
      taskQueue: TASK_QUEUES.train,
      activities: createTrainActivities({ config, stores, train: runTraining }),
      // A training takes all cores or the GPU.
      maxConcurrentActivityTaskExecutions: 1,
    },
    {
      taskQueue: TASK_QUEUES.build,
      activities: createBuildActivities({ stores }),
      maxConcurrentActivityTaskExecutions: 2,
    },
    {
      taskQueue: TASK_QUEUES.neighbours,
      activities: createSimilarActivities(stores),
      maxConcurrentActivityTaskExecutions: 1,
    },
  ],
}));
