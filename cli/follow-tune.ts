import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { LookalikeError, errorMessage, isLookalikeError } from '../contracts/errors.ts';
import type { TuneOutput, TuneView } from '../contracts/tuning.ts';
import { workflowIds } from '../contracts/workflows.ts';
import { describeRetrain, retrainProgress, retrainResult } from '../infra/temporal/retrain-client.ts';
import { trialsLive, tuneView } from '../infra/temporal/tune-client.ts';
import { LiveText } from './live-text.ts';
import type { ProgressDisplay } from './progress.ts';
import { describeTune, paramsOf, valueOf } from './tune-view.ts';
import { causes } from './workflow-view.ts';

const LOOK_EVERY_MS = 1_000;
/** The search goes on while nobody can look at it; after this the looking is given up, not the search. */
const BLIND_MS = 180_000;
/** Lines of the terminal that are not trials. */
const OTHER_LINES = 6;

/**
 * Shows a search until it ends: its table in a terminal, a line for each change of a trial elsewhere.
 * @throws LookalikeError `unavailable` the search failed, or Temporal stayed away | `cancelled` the looking was interrupted
 */
export async function followTune(options: {
  client: Client;
  catalogue: string;
  runId: string;
  progress: ProgressDisplay;
  signal: AbortSignal;
}): Promise<TuneOutput> {
  const { client, catalogue, progress, signal } = options;
  const workflowId = workflowIds.tune(catalogue);
  const live = new LiveText(process.stderr);
  const news = new News();
  let runId: string | undefined = options.runId;
  let seenAt = performance.now();
  try {
    for (;;) {
      if (signal.aborted) {
        throw new LookalikeError(
          'cancelled',
          `Stopped looking at ${workflowId}; the search goes on. \`lookalike workflows show ${workflowId}\` shows it, \`… cancel ${workflowId}\` stops it.`,
        );
      }
      try {
        const { status } = await describeRetrain(client, workflowId, runId);
        const view = await tuneView(client, catalogue, runId).catch(() => null);
        if (view !== null) await show(view);
        // A run that continued as new goes on under the same workflow id.
        if (status === 'CONTINUED_AS_NEW') runId = undefined;
        else if (status !== 'RUNNING') return await resultOf(client, workflowId, runId);
        seenAt = performance.now();
      } catch (error) {
        if (isLookalikeError(error) || performance.now() - seenAt > BLIND_MS) throw error;
        live.show(`The search cannot be seen now (${errorMessage(error)}); waiting.`);
      }
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    live.clear();
  }

  async function show(view: TuneView): Promise<void> {
    const step = (await retrainProgress(client, workflowId, runId).catch(() => null))?.steps.find(
      (one) => one.status === 'running',
    );
    for (const line of process.stderr.isTTY ? [] : news.of(view)) progress.line(line);
    const training = await trialsLive(client, view).catch(() => new Map());
    const doing = step === undefined || step.name === 'trials' ? [] : [`Now: ${step.name}`, ''];
    const maxRows = Math.max(1, live.rows - OTHER_LINES);
    live.show([...doing, describeTune(view, { live: training, maxRows })].join('\n'));
  }
}

/** What happened to the trials since the last look, in lines. */
class News {
  readonly #told = new Map<number, string>();

  of({ trials, epochs }: TuneView): string[] {
    return trials.flatMap((trial) => {
      const { id, status, reports, untilEpoch, reason, failures } = trial;
      const key = `${status} ${untilEpoch} ${failures}`;
      if (this.#told.get(id) === key) return [];
      this.#told.set(id, key);
      const value = valueOf(trial);
      const parts = [
        `  t${String(id).padStart(2, '0')} ${status}`,
        status === 'running' ? `until epoch ${untilEpoch} of ${epochs}` : `after ${reports.at(-1)?.epoch ?? 0} epochs`,
        ...(value === undefined ? [] : [`recall@1 ${value.toFixed(4)}`]),
        paramsOf(trial),
        ...(reason === undefined ? [] : [reason]),
      ];
      return [parts.join(', ')];
    });
  }
}

async function resultOf(client: Client, workflowId: string, runId: string | undefined): Promise<TuneOutput> {
  try {
    return (await retrainResult(client, workflowId, runId)) as unknown as TuneOutput;
  } catch (error) {
    throw new LookalikeError('unavailable', `Expected ${workflowId} to finish, but it did not. ${causes(error)}`, {
      workflowId,
    });
  }
}
