import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import { TUNE_STATE } from '../../contracts/tuning.ts';
import type { TuneInput, TuneView } from '../../contracts/tuning.ts';
import { WORKFLOWS, workflowIds } from '../../contracts/workflows.ts';
import type { LiveTraining } from '../../contracts/data-parallel.ts';
import { startAttributes } from './attributes.ts';
import { liveTraining } from './live-training.ts';
import { describeRetrain } from './retrain-client.ts';
import type { StartedRetrain } from './retrain-client.ts';

/** Starts a search; while one runs for the catalogue, that one is returned instead. */
export async function startTune(client: Client, input: TuneInput): Promise<StartedRetrain> {
  const { catalogue, config } = input;
  const { search, scheduler, numTrials, space, base } = config;
  const workflowId = workflowIds.tune(catalogue);
  try {
    const handle = await client.workflow.start(WORKFLOWS.tune, {
      workflowId,
      taskQueue: TASK_QUEUES.orchestrator,
      args: [input],
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      memo: { recipe: base.recipe, search: search.kind, scheduler: scheduler.kind, numTrials },
      typedSearchAttributes: startAttributes(WORKFLOWS.tune, catalogue),
      staticSummary: `Tune ${catalogue}: ${numTrials} trials (${search.kind}, ${scheduler.kind})`,
      staticDetails: `Varied: ${Object.keys(space).join(', ')}; each trial up to ${base.train.epochs} epochs.`,
    });
    return { workflowId, runId: handle.firstExecutionRunId, started: true };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { runId } = await describeRetrain(client, workflowId);
    return { workflowId, runId, started: false };
  }
}

/** Every trial of a search, also of one that ended. Needs an orchestrator worker. @throws LookalikeError `notFound` */
export async function tuneView(client: Client, catalogue: string, runId?: string): Promise<TuneView> {
  return client.workflow.getHandle(workflowIds.tune(catalogue), runId).query<TuneView>(TUNE_STATE);
}

/** The newest heartbeats of the trials that run now. */
export async function trialsLive(client: Client, { catalogue, trials }: TuneView): Promise<Map<number, LiveTraining>> {
  const running = trials.filter(({ status }) => status === 'running');
  const told = await Promise.all(
    running.map(async ({ id }) => [id, await liveTraining(client, workflowIds.trial(catalogue, id))] as const),
  );
  return new Map(told.flatMap(([id, training]) => (training === undefined ? [] : [[id, training] as const])));
}
