import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { LookalikeError, errorMessage, isLookalikeError } from '../contracts/errors.ts';
import type { RetrainOutput, RetrainProgress } from '../contracts/workflows.ts';
import { describeRetrain, retrainProgress, retrainResult, trainProgress } from '../infra/temporal/retrain-client.ts';
import type { ProgressDisplay, Task } from './progress.ts';
import { causes, describeTraining } from './workflow-view.ts';

const LOOK_EVERY_MS = 500;
/** The run goes on while nobody can look at it; after this the looking is given up, not the run. */
const BLIND_MS = 180_000;

/**
 * Shows a retraining run until it ends. A server or worker that is away for a while is waited for.
 * @throws LookalikeError `unavailable` the run failed, or Temporal stayed away | `cancelled` the looking was interrupted
 */
export async function followRetrain(options: {
  client: Client;
  workflowId: string;
  runId: string;
  progress: ProgressDisplay;
  signal: AbortSignal;
}): Promise<RetrainOutput> {
  const { client, workflowId, runId, progress, signal } = options;
  const view = new StepView(progress);
  let seenAt = performance.now();
  for (;;) {
    if (signal.aborted) {
      throw new LookalikeError(
        'cancelled',
        `Stopped looking at ${workflowId}; the run goes on. \`lookalike workflows show ${workflowId}\` shows it.`,
      );
    }
    try {
      const { status } = await describeRetrain(client, workflowId, runId);
      const steps = await retrainProgress(client, workflowId, runId).catch(() => null);
      if (steps !== null) await view.show(steps, () => trainProgress(client, workflowId));
      if (status !== 'RUNNING') return await resultOf(client, workflowId, runId);
      seenAt = performance.now();
    } catch (error) {
      if (isLookalikeError(error) || performance.now() - seenAt > BLIND_MS) throw error;
      view.away(errorMessage(error));
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function resultOf(client: Client, workflowId: string, runId: string): Promise<RetrainOutput> {
  try {
    return await retrainResult(client, workflowId, runId);
  } catch (error) {
    throw new LookalikeError('unavailable', `Expected ${workflowId} to finish, but it failed. ${causes(error)}`, {
      workflowId,
      runId,
    });
  }
}

/** Bars of the steps that run, a line for each that ended. */
class StepView {
  readonly #progress: ProgressDisplay;
  readonly #tasks = new Map<string, Task>();
  readonly #status = new Map<string, string>();
  #isAway = false;

  constructor(progress: ProgressDisplay) {
    this.#progress = progress;
  }

  async show(now: RetrainProgress, training: () => ReturnType<typeof trainProgress>): Promise<void> {
    if (this.#isAway) this.#progress.line('  The run answers again.');
    this.#isAway = false;
    for (const { name, status, detail } of now.steps) {
      const before = this.#status.get(name);
      this.#status.set(name, status);
      if (status === 'waiting') continue;
      if (status !== 'running') {
        if (before !== status) this.#taskOf(name).finish([status, detail].filter(Boolean).join(', '));
        continue;
      }
      const frame = name === 'train' ? await training().catch(() => undefined) : undefined;
      const done = frame ? { done: frame.step, total: frame.numSteps } : countsIn(detail);
      this.#taskOf(name).update(done?.done ?? 0, done?.total ?? null, frame ? describeTraining(frame) : detail);
    }
  }

  away(why: string): void {
    if (!this.#isAway) this.#progress.line(`  The run cannot be seen now (${why}); waiting.`);
    this.#isAway = true;
  }

  #taskOf(name: string): Task {
    const task = this.#tasks.get(name) ?? this.#progress.task(name, name === 'train' ? 'steps' : 'pictures');
    this.#tasks.set(name, task);
    return task;
  }
}

/** The numbers of a step's detail such as `1,200 of 3,800 pictures`. */
function countsIn(detail: string): { done: number; total: number } | undefined {
  const match = /([\d,]+) of ([\d,]+)/.exec(detail);
  const number = (text: string | undefined): number => Number(text?.replaceAll(',', ''));
  return match === null ? undefined : { done: number(match[1]), total: number(match[2]) };
}
