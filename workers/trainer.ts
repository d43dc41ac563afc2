import { createBuildActivities } from '../activities/build.ts';
import { createSimilarActivities } from '../activities/similar.ts';
import { createPartActivities } from '../activities/train-spread.ts';
import { createTrainActivities } from '../activities/train.ts';
import { createTrialActivities, createTuneActivities } from '../activities/tune.ts';
import { PART_SLOTS, TASK_QUEUES } from '../contracts/queues.ts';
import { runFinetuning } from '../infra/finetune/run-finetuning.ts';
import { runParameterShard } from '../infra/training/run-parameter-shard.ts';
import { runReplica } from '../infra/training/run-replica.ts';
import { runRung } from '../infra/training/run-rung.ts';
import { runStagePart } from '../infra/training/run-stage-part.ts';
import { runTraining } from '../infra/training/run-training.ts';
import { runWorkerProcess } from './run.ts';

/** Models and indices: one training at a time or parts of spread ones, and the builds. */
await runWorkerProcess('trainer', ({ config, stores }) => {
  const parts = createPartActivities({ config, runReplica, runStagePart, runParameterShard });
  return {
    workers: [
      {
        taskQueue: TASK_QUEUES.train,
        activities: {
          ...createTrainActivities({ config, stores, train: runTraining, finetune: runFinetuning }),
          ...createTrialActivities({ config, trainRung: runRung }),
        },
        // A training takes all cores or the GPU.
        maxConcurrentActivityTaskExecutions: 1,
      },
      { taskQueue: TASK_QUEUES.replicas, activities: parts, ...PART_SLOTS },
      { taskQueue: TASK_QUEUES.parameters, activities: parts, ...PART_SLOTS },
      {
        taskQueue: TASK_QUEUES.build,
        activities: { ...createBuildActivities({ stores }), ...createTuneActivities(stores) },
        maxConcurrentActivityTaskExecutions: 2,
      },
      {
        taskQueue: TASK_QUEUES.neighbours,
        activities: createSimilarActivities(stores),
        maxConcurrentActivityTaskExecutions: 1,
      },
    ],
  };
});
