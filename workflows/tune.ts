import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { TuneCursor, TuneInput, TuneOutput } from '../contracts/tuning.ts';
import { snapshots } from './activity-options.ts';
import { concludeTune } from './conclude-tune.ts';
import { carryOn, isRunLong } from './continuation.ts';
import { failureCode, rootMessage } from './failure.ts';
import { modelKey, progressQuery, statusKey, tuneStateQuery } from './messages.ts';
import { describeState, describeTrials } from './policy/describe-tune.ts';
import { afterCancel, bestOf } from './policy/tune-results.ts';
import { runTrials, widthOf } from './run-trials.ts';
import type { Search } from './run-trials.ts';
import { stepTable } from './steps.ts';
import type { StepTable } from './steps.ts';
import { TrialFeatures } from './trial-features.ts';

const STEPS = ['snapshot', 'features', 'trials', 'best'] as const;
const LOOK_EVERY_MS = 15_000;

/**
 * The same training with different hyper-parameters on as many trainers as there are, and the best of them. Each rung of a trial is a
 * child that ends in a checkpoint; what is decided between rungs is pure (`policy/tune`). Checkpoints and models are found by their
 * configuration, so nothing finished is trained twice, and a retrain with the best configuration finds its model. The history is
 * bounded: the run continues as new, after the rungs under way, with every trial's state. On cancel the trainers stop and the search
 * ends with the best so far; before the first report it ends as cancelled.
 */
export async function tune(input: TuneInput): Promise<TuneOutput> {
  const { config } = input;
  const search: Search = {
    ...{ catalogue: input.catalogue, config, trainers: null },
    ...{ snapshot: '', state: input.cursor?.state ?? { trials: [] }, features: null },
  };
  const steps = stepTable(STEPS, () => describeTrials(search.state));
  setHandler(progressQuery, () => steps.progress());
  setHandler(tuneStateQuery, () => ({
    ...{ catalogue: input.catalogue, trials: search.state.trials, trainers: search.trainers, width: widthOf(search) },
    ...{ numTrials: config.numTrials, epochs: config.base.train.epochs, best: bestOf(search.state)?.id ?? null },
    ...{ search: config.search.kind, scheduler: config.scheduler.kind },
  }));
  let outcome: TuneOutput | TuneCursor;
  try {
    outcome = await run(input, search, steps);
  } catch (error) {
    upsertSearchAttributes([{ key: statusKey, value: isCancellation(error) ? 'cancelled' : 'failed' }]);
    if (isCancellation(error)) throw error;
    const [message, type] = [rootMessage(error), failureCode(error) ?? undefined];
    const cause = error instanceof Error ? error : undefined;
    throw ApplicationFailure.create({ message, type, nonRetryable: true, cause });
  }
  if (!('outcome' in outcome)) return carryOn<typeof tune>({ ...input, cursor: outcome });
  const { model } = outcome.best;
  if (model !== null) upsertSearchAttributes([{ key: modelKey, value: model }]);
  upsertSearchAttributes([{ key: statusKey, value: outcome.outcome === 'cancelled' ? 'cancelled' : 'done' }]);
  return outcome;
}

/** To the end, or to where the next run goes on. */
async function run(input: TuneInput, search: Search, steps: StepTable): Promise<TuneOutput | TuneCursor> {
  const { catalogue, rungsPerRun, cursor, config } = input;
  search.snapshot = await steps.run('snapshot', () => snapshotOf(catalogue, cursor));
  const features = new TrialFeatures(catalogue, search.snapshot, cursor?.prepared ?? []);
  search.features = features;
  await steps.run('features', async () => {
    const { features: made } = await features.of(config.base);
    return { value: null, detail: `\`${made}\``, reused: cursor !== undefined };
  });

  let numRungs = 0;
  const onChange = (): void => steps.detail('trials', describeState(config, search.state));
  const pause = (): boolean => isRunLong() || numRungs >= (rungsPerRun ?? Infinity);
  const onRung = (): void => void (numRungs += 1);
  const options = { pause, onChange, onRung, lookEveryMs: input.lookEveryMs ?? LOOK_EVERY_MS };
  let isCancelled = false;
  const isOver = await steps.run('trials', async () => {
    try {
      const value = await runTrials(search, options);
      return { value, detail: describeState(config, search.state) };
    } catch (error) {
      // A cancel keeps what there is.
      if (!isCancellation(error) || bestOf(search.state) === null) throw error;
      isCancelled = true;
      search.state = afterCancel(search.state);
      return { value: true, detail: `Cancelled: ${describeState(config, search.state)}.` };
    }
  });
  if (!isOver && !CancellationScope.current().consideredCancelled) {
    return { snapshot: search.snapshot, prepared: features.prepared, state: search.state };
  }
  const conclude = (best: 'trained' | 'as it is') =>
    steps.run('best', () => concludeTune(search, features, best === 'as it is'));
  try {
    if (isOver && !isCancelled) return await conclude('trained');
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
  if (bestOf(search.state) === null) throw new CancelledFailure('Cancelled before any trial had reported.');
  search.state = afterCancel(search.state);
  return CancellationScope.nonCancellable(() => conclude('as it is'));
}

async function snapshotOf(catalogue: string, cursor: TuneCursor | undefined) {
  if (cursor !== undefined) return { value: cursor.snapshot, detail: `\`${cursor.snapshot}\``, reused: true };
  const made = await snapshots.takeSnapshot({ catalogue });
  if (made.untrained !== undefined) {
    throw ApplicationFailure.nonRetryable(`Nothing can be tuned. ${made.untrained}`, 'invalidInput');
  }
  const detail = `${made.numItems} items, ${made.numExamples} examples, ${made.numImages} pictures`;
  return { value: made.artifact, detail, reused: made.reused };
}
