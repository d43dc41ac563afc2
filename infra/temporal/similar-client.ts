import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import type { SimilarItemsInput } from '../../contracts/similar.ts';
import { WORKFLOWS, workflowIds } from '../../contracts/workflows.ts';
import { startAttributes } from './attributes.ts';
import { describeRetrain } from './retrain-client.ts';
import type { StartedRetrain } from './retrain-client.ts';

/** Starts a batch of neighbours; while one runs for the catalogue, that one is returned instead. */
export async function startSimilarItems(client: Client, input: SimilarItemsInput): Promise<StartedRetrain> {
  const { catalogue, config } = input;
  const workflowId = workflowIds.similar(catalogue);
  try {
    const handle = await client.workflow.start(WORKFLOWS.similarItems, {
      workflowId,
      taskQueue: TASK_QUEUES.orchestrator,
      args: [input],
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      typedSearchAttributes: startAttributes(WORKFLOWS.similarItems, catalogue),
      staticSummary: `Similar items of ${catalogue}`,
      staticDetails: `${config.k} neighbours an item${config.withinCategory ? ', within its category' : ''}.`,
    });
    return { workflowId, runId: handle.firstExecutionRunId, started: true };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { runId } = await describeRetrain(client, workflowId);
    return { workflowId, runId, started: false };
  }
}
