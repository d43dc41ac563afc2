import type { JsonObject } from '../../../../contracts/json.ts';
import type { RetrainConfig } from '../../../../contracts/training.ts';
import type { Trial, TuneConfig, TuneDecision, TuneState } from '../../../../contracts/tuning.ts';
import { resolveRetrainConfig } from '../../../../infra/recipes/resolve.ts';
import { afterDecision } from '../../../../workflows/policy/tune/after-decision.ts';
import { nextDecision } from '../../../../workflows/policy/tune/next-decision.ts';

export function baseOf(epochs: number): RetrainConfig {
  const base = resolveRetrainConfig();
  return { ...base, train: { ...base.train, epochs } };
}

export function configOf(change: Partial<TuneConfig> & { epochs?: number }): TuneConfig {
  const { epochs = 27, ...rest } = change;
  return {
    base: baseOf(epochs),
    space: { 'train.featureDropout': { kind: 'float', low: 0, high: 1, scale: 'linear' } },
    search: { kind: 'random' },
    scheduler: { kind: 'none' },
    numTrials: 9,
    concurrency: 1,
    retries: 0,
    seed: 1,
    ...rest,
  };
}

export interface Drive {
  /** Validation recall of a trial after so many epochs. */
  objective: (trial: Trial, epoch: number) => number;
  /** Which of those that run comes to its rung next. Default: the one that was chosen first. */
  pick?: (running: readonly Trial[]) => Trial;
  /** Whether a trial fails instead of coming to its rung. */
  fails?: (trial: Trial) => boolean;
  /** Sees each state with what was decided in it. */
  watch?: (state: TuneState, decision: TuneDecision) => void;
}

/** Carries decisions out on a machine that trains in no time. */
export function drive(config: TuneConfig, { objective, pick = first, fails, watch }: Drive): TuneState {
  let state: TuneState = { trials: [] };
  // Far more than any of these searches takes: one that does not end is a failure, not a hanging test.
  for (let step = 0; step < 20_000; step++) {
    const decision = nextDecision(config, state);
    watch?.(state, decision);
    if (decision.kind === 'finished') return state;
    if (decision.kind !== 'wait') state = afterDecision(state, decision);
    else {
      const running = state.trials.filter(({ status }) => status === 'running');
      const trial = pick(running);
      state = { trials: state.trials.map((one) => (one === trial ? settled(config, one, objective, fails) : one)) };
    }
  }
  throw new Error('Expected the search to end within 20,000 decisions.');
}

const first = (running: readonly Trial[]): Trial => running[0]!;

function settled(config: TuneConfig, trial: Trial, objective: Drive['objective'], fails: Drive['fails']): Trial {
  if (fails?.(trial) === true) return { ...trial, status: 'failed', failures: 1, reason: 'the machine burnt' };
  const reports = [...trial.reports];
  const last = (): { epoch: number; value: number } => reports.at(-1) ?? { epoch: 0, value: -Infinity };
  while (last().epoch < trial.untilEpoch) {
    const epoch = last().epoch + 1;
    reports.push({ epoch, value: Math.max(last().value, objective(trial, epoch)) });
  }
  return { ...trial, reports, status: trial.untilEpoch >= config.base.train.epochs ? 'done' : 'paused' };
}

/** A trial as a state holds it. */
export function trialOf(id: number, change: Partial<Trial> & { params?: JsonObject }): Trial {
  return { id, params: {}, status: 'paused', untilEpoch: 1, reports: [], failures: 0, ...change };
}

/** What was started and promoted, in order: `[trial, untilEpoch]`. */
export function jobsOf(decisions: readonly TuneDecision[]): [number, number][] {
  return decisions.flatMap((one): [number, number][] =>
    one.kind === 'start' || one.kind === 'promote' ? [[one.trial, one.untilEpoch]] : [],
  );
}
