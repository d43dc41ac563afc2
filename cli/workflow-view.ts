import type { Client } from '@temporalio/client';
import { errorMessage } from '../contracts/errors.ts';
import type { LiveTraining, TrainingPart } from '../contracts/data-parallel.ts';
import type { TuneView } from '../contracts/tuning.ts';
import type { RetrainProgress, ServingState } from '../contracts/workflows.ts';
import type { Config } from '../infra/config/env.ts';
import { liveTraining } from '../infra/temporal/live-training.ts';
import { describeRetrain, retrainProgress, retrainResult, trainProgress } from '../infra/temporal/retrain-client.ts';
import type { RunDescription } from '../infra/temporal/retrain-client.ts';
import { servingState } from '../infra/temporal/serve-client.ts';
import { tuneView } from '../infra/temporal/tune-client.ts';
import { workflowUrl } from '../infra/temporal/workflow-list.ts';
import { table } from './table.ts';
import { describeTune } from './tune-view.ts';

export interface CatalogueFilter {
  catalogue?: string;
  kind?: string;
}

/** One run as `workflows show` tells it. Parts that do not apply, or that no worker answers for now, are null. */
export interface RunView extends RunDescription {
  url: string;
  steps: RetrainProgress['steps'] | null;
  training: LiveTraining | null;
  serving: ServingState | null;
  tune: TuneView | null;
  result: unknown;
  failure: string | null;
}

export async function showRun(client: Client, config: Config, workflowId: string, runId?: string): Promise<RunView> {
  const about = await describeRetrain(client, workflowId, runId);
  const isRetrain = /^retrain\/[^/]+$/.test(workflowId);
  const hasSteps = isRetrain || /^(similar|tune)\/[^/]+$/.test(workflowId);
  const isTrain = /^(retrain\/[^/]+\/train|tune\/[^/]+\/(t\d+|train))$/.test(workflowId);
  const tuned = /^tune\/([^/]+)$/.exec(workflowId)?.[1];
  const isServe = /^serve\/[^/]+$/.test(workflowId);
  const isRunning = about.status === 'RUNNING';
  // A query needs a worker; without one the rest of the view is still worth showing.
  const orNull = <T>(promise: Promise<T>): Promise<T | null> => promise.catch(() => null);
  const trainingOf = async (): Promise<LiveTraining | undefined> => {
    if (isTrain) return liveTraining(client, workflowId);
    return isRetrain ? trainProgress(client, workflowId) : undefined;
  };
  const view: RunView = {
    ...about,
    url: workflowUrl(config, about.workflowId, about.runId),
    steps: hasSteps ? ((await orNull(retrainProgress(client, workflowId, about.runId)))?.steps ?? null) : null,
    training: isRunning ? ((await orNull(trainingOf())) ?? null) : null,
    serving: isServe && isRunning ? await orNull(servingState(client, workflowId.slice('serve/'.length))) : null,
    tune: tuned === undefined ? null : await orNull(tuneView(client, tuned, about.runId)),
    result: null,
    failure: null,
  };
  if (isRunning) return view;
  try {
    view.result = (await retrainResult(client, workflowId, about.runId)) ?? null;
  } catch (error) {
    view.failure = causes(error);
  }
  return view;
}

/** An error and its causes in one line, the last one being what really happened. */
export function causes(error: unknown): string {
  const messages: string[] = [];
  for (let current: unknown = error; current instanceof Error; current = current.cause) {
    messages.push(errorMessage(current));
  }
  return [...new Set(messages)].join(': ');
}

export function describeRun(view: RunView): string {
  const lines = [
    `${view.workflowId}  ${view.status}`,
    `started ${view.startTime}${view.closeTime === null ? '' : `, ended ${view.closeTime}`}`,
    view.url,
  ];
  if (view.steps !== null) {
    lines.push(
      '',
      table(
        ['STEP', 'STATUS', 'DETAIL'],
        view.steps.map((step) => [step.name, step.status, step.detail]),
      ),
    );
  }
  if (view.training !== null) {
    lines.push('', describeTraining(view.training));
    if (view.training.parts !== undefined) lines.push('', describeParts(view.training.parts));
  }
  if (view.serving !== null) lines.push('', JSON.stringify(view.serving, null, 2));
  if (view.tune !== null) lines.push('', describeTune(view.tune));
  if (view.failure !== null) lines.push('', `Failed: ${view.failure}`);
  if (view.result !== null) lines.push('', JSON.stringify(view.result, null, 2));
  return lines.join('\n');
}

export function describeTraining(training: LiveTraining): string {
  const loss = training.loss === null ? '' : `, loss ${training.loss.toFixed(4)}`;
  const recall = training.recallByEpoch.at(-1);
  const judged = recall === undefined ? '' : `, validation recall@1 ${recall.toFixed(3)}`;
  return (
    `epoch ${training.epoch} of ${training.numEpochs}, step ${training.step} of ${training.numSteps}${loss}${judged}, ` +
    `${Math.round(training.samplesPerSecond)} samples/s on ${training.backend}`
  );
}

const PART_NAMES: Record<TrainingPart['role'], string> = { replica: 'replica', parameters: 'shard', stage: 'stage' };

/** Who computes what where, one line each. */
function describeParts(parts: readonly TrainingPart[]): string {
  const orDash = (text: string | undefined | null): string => text ?? '-';
  const isCut = parts.some(({ role }) => role === 'stage');
  return table(
    ['PART', 'HOST', 'START', 'STEP', 'LOSS', isCut ? 'HOLDS' : 'STALENESS', 'KB/STEP', 'NOTE'],
    parts.map(({ role, index, host, attempt, holds, step, loss, staleness, bytesPerStep, note }) => [
      `${PART_NAMES[role]} ${index}${role !== 'parameters' && index === 0 ? ' (leads)' : ''}`,
      orDash(host),
      String(attempt),
      orDash(step?.toString()),
      orDash(loss?.toFixed(4)),
      orDash(isCut ? holds : meanStaleness(staleness)),
      orDash(bytesPerStep === null ? null : (bytesPerStep / 1000).toFixed(1)),
      orDash(note),
    ]),
  );
}

/** Steps that an applied gradient was old, on average; null before the first. */
function meanStaleness(counts: readonly number[]): string | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return total === 0 ? null : (counts.reduce((sum, count, steps) => sum + count * steps, 0) / total).toFixed(2);
}
