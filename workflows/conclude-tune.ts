import { ApplicationFailure } from '@temporalio/workflow';
import type { BestTrial, Trial, TuneOutput } from '../contracts/tuning.ts';
import { tuneRecords, tuningResults } from './activity-options.ts';
import { runChild } from './children.ts';
import { afterRung, bestOf, rowsOf, valueOf } from './policy/tune-results.ts';
import { changeTrial, trainRung } from './run-trials.ts';
import type { Search } from './run-trials.ts';
import type { StepResult } from './steps.ts';
import { train } from './train.ts';
import type { TrialFeatures } from './trial-features.ts';

/**
 * What a search ends in: the best trial with its model, trained to the end if it was not yet, and everything as an artefact. After a
 * cancel nothing is trained any more.
 */
export async function concludeTune(
  search: Search,
  features: TrialFeatures,
  isCancelled: boolean,
): Promise<StepResult<TuneOutput>> {
  const { catalogue, config, snapshot } = search;
  const chosen = bestOf(search.state);
  if (chosen === null) throw noneOf(search.state.trials);
  const best = isCancelled ? await describe(search, chosen, null) : await complete(search, features, chosen);
  const { trials } = search.state;
  const outcome = isCancelled ? 'cancelled' : 'finished';
  const published = { catalogue, config, snapshot, prepared: features.prepared, outcome, trials, best } as const;
  const { artifact, reused } = await tuningResults.publishTuning(published);
  const detail =
    `Trial ${best.trial}, recall@1 ${best.value.toFixed(4)} on validation` +
    `${best.model === null ? ', not trained to its end' : `: \`${best.model}\``}. All trials: \`${artifact}\`.`;
  return { value: { outcome, best, tuning: artifact, snapshot, trials: rowsOf(search.state) }, detail, reused };
}

/** A retrain with the same configuration ends in the same model: where all items are learnt from in the end, that is a second one. */
async function complete(search: Search, features: TrialFeatures, chosen: Trial): Promise<BestTrial> {
  const { epochs } = search.config.base.train;
  let trial = chosen;
  if (trial.status !== 'done') {
    trial = { ...trial, status: 'running', untilEpoch: epochs };
    trial = afterRung(trial, await trainRung(search, trial));
    changeTrial(search, trial);
  }
  if (trial.origin !== undefined) return describe(search, trial, trial.model ?? null);
  const { catalogue, snapshot } = search;
  const config = await tuneRecords.resolveTrial({ base: search.config.base, params: trial.params });
  const { backbone, features: cached } = await features.of(config);
  const input = { catalogue, snapshot, features: cached, backbone, config: config.train };
  const made = await runChild(train, 'train', catalogue, input, `Best of ${catalogue}: trial ${trial.id}`);
  return describe(search, trial, made.model);
}

async function describe(search: Search, trial: Trial, model: string | null): Promise<BestTrial> {
  const { id, params, reports } = trial;
  const config = await tuneRecords.resolveTrial({ base: search.config.base, params });
  const value = valueOf(trial)!;
  return { trial: id, params, value, epochs: reports.at(-1)?.epoch ?? 0, config, model: model ?? trial.model ?? null };
}

function noneOf(trials: readonly Trial[]): ApplicationFailure {
  const why = trials.find(({ reason }) => reason !== undefined)?.reason ?? 'None has reported.';
  return ApplicationFailure.nonRetryable(
    `Expected a trial that can be trained, but all ${trials.length} failed: ${why}`,
    'invalidInput',
  );
}
