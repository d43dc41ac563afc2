import { ApplicationFailure, CancellationScope, condition, isCancellation, log, sleep } from '@temporalio/workflow';
import type { RungOutput, Trial, TuneConfig, TuneDecision, TuneState } from '../contracts/tuning.ts';
import { tuneRecords } from './activity-options.ts';
import { runChild } from './children.ts';
import { rootCause, rootMessage } from './failure.ts';
import { describeParams } from './policy/describe-tune.ts';
import { afterDecision } from './policy/tune/after-decision.ts';
import { nextDecision } from './policy/tune/next-decision.ts';
import { afterRung } from './policy/tune-results.ts';
import { trial } from './trial.ts';
import type { TrialFeatures } from './trial-features.ts';

/** A search under way. */
export interface Search {
  catalogue: string;
  config: TuneConfig;
  state: TuneState;
  /** Trainers alive at the last look; null before the first. */
  trainers: number | null;
  /** Empty until it is taken. */
  snapshot: string;
  /** Null until there is a snapshot. */
  features: TrialFeatures | null;
}

export interface RunOptions {
  /** Whether to start no more. */
  pause: () => boolean;
  lookEveryMs: number;
  /** After each change of a trial or of the number of trainers. */
  onChange: () => void;
  /** When a rung is started. */
  onRung: () => void;
}

/** How many trials may run at once: as many as there are trainers, but at least one waits for a trainer to come. */
export function widthOf({ config, trainers }: Pick<Search, 'config' | 'trainers'>): number {
  return Math.min(config.concurrency, Math.max(1, trainers ?? 1));
}

/**
 * Carries out decisions until all has been tried or `pause()` says to start no more; all that was started has ended then, also on a
 * cancel. What fails is tried again as often as the configuration says, then marked with the reason.
 * @returns whether all has been tried
 */
export async function runTrials(search: Search, options: RunOptions): Promise<boolean> {
  const running = new Map<number, Promise<void>>();
  let numNews = 0;
  const tell = (): void => {
    numNews += 1;
    options.onChange();
  };
  const scope = new CancellationScope();
  try {
    return await scope.run(async () => {
      void watchTrainers(search, options.lookEveryMs, tell);
      for (;;) {
        const seen = numNews;
        const asked = { ...search.config, concurrency: widthOf(search) };
        const decision: TuneDecision = options.pause() ? { kind: 'wait' } : nextDecision(asked, search.state);
        if (decision.kind === 'finished') return true;
        if (decision.kind !== 'wait') {
          carryOut(search, decision);
          options.onChange();
          if (decision.kind === 'stop') continue;
          options.onRung();
          const { trial: id } = decision;
          const rung = runRung(search, id, tell).finally(() => running.delete(id));
          running.set(id, rung);
          // Its end is news; its failure, which can only be a cancel, is waited for below.
          rung.catch(() => undefined);
        } else if (running.size > 0) await condition(() => numNews > seen);
        else if (options.pause()) return false;
        else throw ApplicationFailure.nonRetryable('Expected a decision while nothing runs, got none.', 'unexpected');
      }
    });
  } finally {
    scope.cancel();
    await Promise.allSettled(running.values());
  }
}

function carryOut(search: Search, decision: TuneDecision): void {
  search.state = afterDecision(search.state, decision);
  if (decision.kind !== 'exploit') return;
  // One that was found already made has no checkpoint to go on from: then these values are trained from nothing.
  const { checkpoint } = search.state.trials[decision.from]!;
  const { model: _model, checkpoint: _checkpoint, origin: _origin, ...left } = search.state.trials[decision.trial]!;
  changeTrial(search, { ...left, ...(checkpoint !== undefined && { origin: checkpoint }) });
}

export function changeTrial(search: Search, to: Trial): void {
  search.state = { ...search.state, trials: search.state.trials.map((one) => (one.id === to.id ? to : one)) };
}

/** One rung to its end, failures and all; throws only on a cancel of the search. */
async function runRung(search: Search, id: number, tell: () => void): Promise<void> {
  for (;;) {
    const now = search.state.trials[id]!;
    try {
      changeTrial(search, afterRung(now, await trainRung(search, now)));
      tell();
      return;
    } catch (error) {
      if (CancellationScope.current().consideredCancelled) throw error;
      const failures = now.failures + 1;
      const isOver = failures > search.config.retries || isCancellation(error) || isPermanent(error);
      const end = isOver && ({ status: 'failed', reason: rootMessage(error) } as const);
      changeTrial(search, { ...now, failures, ...end });
      tell();
      if (isOver) return;
      // Whatever was in the way may pass.
      await sleep(Math.min(60_000, 1000 * 2 ** failures));
    }
  }
}

/** The training of a trial as far as it may go now. */
export async function trainRung(search: Search, { id, params, untilEpoch, origin }: Trial): Promise<RungOutput> {
  const { catalogue, snapshot } = search;
  const config = await tuneRecords.resolveTrial({ base: search.config.base, params });
  const { backbone, features } = await search.features!.of(config);
  const train = { catalogue, snapshot, features, backbone, config: config.train };
  const input = { trial: id, params, train, untilEpoch, ...(origin !== undefined && { origin }) };
  const about = `Trial ${id} until epoch ${untilEpoch}: ${describeParams(params)}`.slice(0, 200);
  return runChild(trial, `t${String(id).padStart(2, '0')}`, catalogue, input, about);
}

/** The same input would fail in the same way. */
function isPermanent(error: unknown): boolean {
  const cause = rootCause(error);
  return cause instanceof ApplicationFailure && cause.nonRetryable === true;
}

/** A look costs a few events of the history, so looks become rare while nothing changes. */
const MAX_LOOK_MS = 300_000;

async function watchTrainers(search: Search, everyMs: number, tell: () => void): Promise<void> {
  if (search.config.concurrency === 1) return;
  try {
    for (let pauseMs = everyMs; ; pauseMs = Math.min(MAX_LOOK_MS, 2 * pauseMs)) {
      const { trainers } = await tuneRecords.countTrainers();
      if (trainers !== search.trainers) {
        pauseMs = everyMs;
        search.trainers = trainers;
        tell();
      }
      await sleep(pauseMs);
    }
  } catch (error) {
    // The search goes on as wide as it is.
    if (!isCancellation(error)) log.warn('Could not count the trainers', { why: rootMessage(error) });
  }
}
