import { WorkflowFailedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { RetrainConfig } from '../../contracts/training.ts';
import { workflowIds } from '../../contracts/workflows.ts';
import type { RetrainOutput, RetrainProgress } from '../../contracts/workflows.ts';
import type { Config } from '../../infra/config/env.ts';
import * as retrain from '../../infra/temporal/retrain-client.ts';
import { workflowUrl } from '../../infra/temporal/workflow-list.ts';
import { temporalCalls } from './temporal-calls.ts';
import type { RetrainRequest, RetrainStatus, Retrainer } from '../ports.ts';

/** The steps are told by an orchestrator; while none answers, the run is told without them. */
const STEPS_MS = 2_000;

export const RUN_STATUS: Partial<Record<retrain.RunDescription['status'], RetrainStatus['status']>> = {
  RUNNING: 'running',
  CONTINUED_AS_NEW: 'running',
  COMPLETED: 'completed',
  CANCELLED: 'cancelled',
  TERMINATED: 'cancelled',
};

export interface Recipes {
  /** @throws LookalikeError `invalidInput` */
  resolve(request: Omit<RetrainRequest, 'force' | 'reason'>): RetrainConfig;
  list: Retrainer['recipes'];
}

/** Retraining over a Temporal client, which need not be connected yet. */
export function temporalRetrainer(client: Client, config: Pick<Config, 'temporal'>, recipes: Recipes): Retrainer {
  const call = temporalCalls(client, config);
  const linkTo = (run: { workflowId: string; runId: string }): string => workflowUrl(config, run.workflowId, run.runId);

  async function steps(run: retrain.RunDescription): Promise<RetrainProgress['steps']> {
    try {
      return (await call(() => retrain.retrainProgress(client, run.workflowId, run.runId), STEPS_MS)).steps;
    } catch {
      return [];
    }
  }

  return {
    async start(catalogue, { force, reason = null, ...request }, by) {
      const order = { trigger: 'request', by, reason } as const;
      const input = { catalogue, config: recipes.resolve(request), force, order };
      const run = await call(() => retrain.startRetrain(client, input));
      return { ...run, temporalUrl: linkTo(run) };
    },
    async status(catalogue) {
      const workflowId = workflowIds.retrain(catalogue);
      const run = await call(() => retrain.describeRetrain(client, workflowId)).catch(orUndefined);
      if (run === undefined) return undefined;
      const isRunning = run.closeTime === null;
      const [told, training, end] = await Promise.all([
        steps(run),
        isRunning ? call(() => retrain.trainProgress(client, workflowId)) : undefined,
        isRunning ? undefined : call(() => outcomeOf<RetrainOutput>(client, run)),
      ]);
      return {
        workflowId,
        runId: run.runId,
        status: RUN_STATUS[run.status] ?? 'failed',
        startedAt: run.startTime,
        closedAt: run.closeTime,
        steps: told,
        training: training ?? null,
        output: end?.output ?? null,
        failure: end?.failure ?? null,
        temporalUrl: linkTo(run),
      };
    },
    recipes: () => recipes.list(),
  };
}

/** How a run ended. */
export async function outcomeOf<Output>(
  client: Client,
  { workflowId, runId }: retrain.RunDescription,
): Promise<{ output: Output | null; failure: string | null }> {
  try {
    const output = (await client.workflow.getHandle(workflowId, runId).result()) as Output;
    return { output, failure: null };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    return { output: null, failure: rootCause(error) };
  }
}

/** Workflow failures wrap one another; the innermost is what happened. */
function rootCause(error: Error): string {
  return error.cause instanceof Error ? rootCause(error.cause) : errorMessage(error);
}

/** What Temporal does not know is no failure. */
export function orUndefined(error: unknown): undefined {
  if (error instanceof LookalikeError && error.code === 'notFound') return undefined;
  throw error;
}
