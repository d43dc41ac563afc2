import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { LookalikeError, errorMessage, isLookalikeError } from '../contracts/errors.ts';
import { workflowIds } from '../contracts/workflows.ts';
import type { RetrainOutput, RetrainProgress } from '../contracts/workflows.ts';
import { describeRetrain, retrainProgress, retrainResult, trainProgress } from '../infra/temporal/retrain-client.ts';
import type { ProgressDisplay, Task } from './progress.ts';
import { causes, describeTraining } from './workflow-view.ts';

const LOOK_EVERY_MS = 500;
/** The run goes on while nobody can look at it; after this the looking is given up, not the run. */
const BLIND_MS = 180_000;
/** What the steps that take long are counted in. */
const UNITS: Readonly<Record<string, string>> = { train: 'steps', features: 'chunks', embed: 'chunks' };

/**
 * Shows a retraining run until it ends. A server or worker that is away for a while is waited for.
 * @throws LookalikeError `unavailable` the run failed, or Temporal stayed away | `cancelled` the looking was interrupted
 */
export async function followRetrain<Output = RetrainOutput>(options: {
  client: Client;
  workflowId: string;
  runId: string;
  progress: ProgressDisplay;
  signal: AbortSignal;
}): Promise<Output> {
  const { client, workflowId, progress, signal } = options;
  let runId: string | undefined = options.runId;
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
      if (steps !== null) await view.show(steps, (step) => liveFrame(client, workflowId, step));
      // A run that continued as new goes on under the same workflow id.
      if (status === 'CONTINUED_AS_NEW') runId = undefined;
      else if (status !== 'RUNNING') return (await resultOf(client, workflowId, runId)) as Output;
      seenAt = performance.now();
    } catch (error) {
      if (isLookalikeError(error) || performance.now() - seenAt > BLIND_MS) throw error;
      view.away(errorMessage(error));
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function resultOf(client: Client, workflowId: string, runId: string | undefined): Promise<RetrainOutput> {
  try {
    return await retrainResult(client, workflowId, runId);
  } catch (error) {
    throw new LookalikeError('unavailable', `Expected ${workflowId} to finish, but it failed. ${causes(error)}`, {
      workflowId,
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

  async show(now: RetrainProgress, look: (step: string) => Promise<LiveFrame | undefined>): Promise<void> {
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
      // Behind a server or worker that is away stands a step that is merely not seen.
      const frame = (await look(name).catch(() => undefined)) ?? { ...countsIn(detail), detail };
      this.#taskOf(name).update(frame.done ?? 0, frame.total ?? null, frame.detail);
    }
  }

  away(why: string): void {
    if (!this.#isAway) this.#progress.line(`  The run cannot be seen now (${why}); waiting.`);
    this.#isAway = true;
  }

  #taskOf(name: string): Task {
    const task = this.#tasks.get(name) ?? this.#progress.task(name, UNITS[name] ?? '');
    this.#tasks.set(name, task);
    return task;
  }
}

/** How far a running step is. */
interface LiveFrame {
  done?: number;
  total?: number;
  detail: string;
}

/** What a step's own workflow says: training in its heartbeats, embedding in its progress. */
async function liveFrame(client: Client, workflowId: string, step: string): Promise<LiveFrame | undefined> {
  if (step === 'train') {
    const training = await trainProgress(client, workflowId);
    return training && { done: training.step, total: training.numSteps, detail: describeTraining(training) };
  }
  if (step !== 'features' && step !== 'embed') return undefined;
  const detail = (await retrainProgress(client, workflowIds.step(workflowId, step))).steps[0]?.detail;
  return detail === undefined ? undefined : { ...countsIn(detail), detail };
}

/** The numbers of a step's detail such as `12 of 90 chunks`. */
function countsIn(detail: string): { done: number; total: number } | undefined {
  const match = /([\d,]+) of ([\d,]+)/.exec(detail);
  const number = (text: string | undefined): number => Number(text?.replaceAll(',', ''));
  return match === null ? undefined : { done: number(match[1]), total: number(match[2]) };
}
