import { createCatalogueActivities } from '../activities/catalogue.ts';
import { createScheduleActivities } from '../activities/schedules.ts';
import { createServingActivities } from '../activities/serving.ts';
import { createSimilarRecordActivities } from '../activities/similar.ts';
import { createTrainingRecordActivities } from '../activities/train-spread.ts';
import { createTuneRecordActivities } from '../activities/tune.ts';
import { TASK_QUEUES } from '../contracts/queues.ts';
import { connectClient } from '../infra/temporal/connection.ts';
import { prepareNamespace } from '../infra/temporal/namespace.ts';
import { ensureSupervisor } from '../infra/temporal/serve-client.ts';
import { servingTarget } from '../infra/temporal/serving-target.ts';
import { workflowCode } from '../infra/temporal/workflow-code.ts';
import { runWorkerProcess } from './run.ts';

/** Runs all workflows and the quick activities; makes sure that what serves is looked after. */
await runWorkerProcess('orchestrator', async ({ config, logger, stores }) => {
  const client = await connectClient(config);
  await prepareNamespace(client, logger);
  for (const { catalogue } of await stores.registry.catalogue.catalogues()) {
    for (const generation of await stores.registry.generations.list(catalogue, 'serving')) {
      const target = servingTarget(generation);
      if (target !== null && (await ensureSupervisor(client, catalogue, target))) {
        logger.info({ catalogue, generation: generation.number }, 'supervisor started');
      }
    }
  }
  return {
    workers: [
      {
        taskQueue: TASK_QUEUES.orchestrator,
        ...workflowCode(),
        activities: {
          ...createCatalogueActivities({ stores, client }),
          ...createScheduleActivities(stores, client),
          ...createServingActivities({ config, stores }),
          ...createSimilarRecordActivities(stores),
          ...createTrainingRecordActivities(stores.registry.training),
          ...createTuneRecordActivities(client),
        },
        maxConcurrentActivityTaskExecutions: 50,
        maxCachedWorkflows: 500,
      },
    ],
    close: () => client.connection.close(),
  };
});
