import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import type { Client, WorkflowExecutionStatusName } from '@temporalio/client';
import { LookalikeError } from '../../contracts/errors.ts';
import type { LiveTraining } from '../../contracts/data-parallel.ts';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import { PROGRESS, WORKFLOWS, workflowIds } from '../../contracts/workflows.ts';
import type { RetrainInput, RetrainOutput, RetrainProgress } from '../../contracts/workflows.ts';
import { startAttributes } from './attributes.ts';
import { liveTraining } from './live-training.ts';

/** What api and cli ask Temporal about retraining. All take a workflow id, `retrain/<catalogue>` unless said otherwise. */

export interface StartedRetrain {
  workflowId: string;
  runId: string;
  /** False when a run of this catalogue was already going: it is that one. */
  started: boolean;
}

export interface RunDescription {
  workflowId: string;
  runId: string;
  status: WorkflowExecutionStatusName;
  startTime: string;
  closeTime: string | null;
}

/** Starts a retraining run; while one runs for the catalogue, that one is returned instead. */
export async function startRetrain(client: Client, input: RetrainInput): Promise<StartedRetrain> {
  const workflowId = workflowIds.retrain(input.catalogue);
  const { recipe, backbone, train, index } = input.config;
  try {
    const handle = await client.workflow.start(WORKFLOWS.retrain, {
      workflowId,
      taskQueue: TASK_QUEUES.orchestrator,
      args: [input],
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      memo: { recipe, backbone, force: input.force, ...input.order },
      typedSearchAttributes: startAttributes(WORKFLOWS.retrain, input.catalogue),
      staticSummary: `Retrain ${input.catalogue} (${recipe})`,
      staticDetails: `Backbone ${backbone}, loss ${train.loss.kind} (${train.strategy}), index ${index.kind}.`,
    });
    return { workflowId, runId: handle.firstExecutionRunId, started: true };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { runId } = await describeRetrain(client, workflowId);
    return { workflowId, runId, started: false };
  }
}

/** @throws LookalikeError `notFound` */
export async function describeRetrain(client: Client, workflowId: string, runId?: string): Promise<RunDescription> {
  const about = await client.workflow.getHandle(workflowId, runId).describe().catch(asNotFound(workflowId));
  return {
    workflowId,
    runId: about.runId,
    status: about.status.name,
    startTime: about.startTime.toISOString(),
    closeTime: about.closeTime?.toISOString() ?? null,
  };
}

/** The step table of a run, also of one that ended. Needs an orchestrator worker. @throws LookalikeError `notFound` */
export async function retrainProgress(client: Client, workflowId: string, runId?: string): Promise<RetrainProgress> {
  return client.workflow.getHandle(workflowId, runId).query<RetrainProgress>(PROGRESS).catch(asNotFound(workflowId));
}

/** The newest heartbeats of the run's training step; undefined while nothing trains. */
export function trainProgress(client: Client, workflowId: string): Promise<LiveTraining | undefined> {
  return liveTraining(client, workflowIds.step(workflowId, 'train'));
}

/** Waits for the end. @throws WorkflowFailedError whose causes tell why */
export async function retrainResult(client: Client, workflowId: string, runId?: string): Promise<RetrainOutput> {
  return client.workflow.getHandle(workflowId, runId).result() as Promise<RetrainOutput>;
}

/** Asks a run to stop; what serves is not touched. @throws LookalikeError `notFound` */
export async function cancelRetrain(client: Client, workflowId: string, runId?: string): Promise<void> {
  await client.workflow.getHandle(workflowId, runId).cancel().catch(asNotFound(workflowId));
}

function asNotFound(workflowId: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    throw new LookalikeError(
      'notFound',
      `Expected a workflow ${workflowId}, but Temporal knows none that still runs or is kept. \`lookalike workflows list\` shows them.`,
      { workflowId },
      { cause: error },
    );
  };
}
