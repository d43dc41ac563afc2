import { assertNever } from '../../../contracts/errors.ts';
import type { TuneConfig, TuneDecision, TuneState } from '../../../contracts/tuning.ts';
import { numTrialsOf } from './num-trials.ts';
import type { SchedulerStep } from './scheduler.ts';
import { asha } from './schedulers/asha.ts';
import { hyperband } from './schedulers/hyperband.ts';
import { medianStop } from './schedulers/median-stop.ts';
import { none } from './schedulers/none.ts';
import { pbt } from './schedulers/pbt.ts';
import { isUnderWay } from './standing.ts';
import { suggestParams } from './suggest.ts';

/**
 * The one next thing to do in a hyper-parameter search: a pure function, so that it can be asked as often as one likes and a replay
 * decides the same. Whoever asks carries it out, notes it in the state (`afterDecision`), and asks again until `wait` or `finished`.
 *
 * - `wait` only while a trial is under way; it also stands for "no more than `config.concurrency` at once": who has fewer workers asks
 *   with a smaller one.
 * - Trial `i` is `state.trials[i]`. A trial that comes to its `untilEpoch` becomes `paused`, or `done` at `base.train.epochs` or when it
 *   ended by itself. What fails for good becomes `failed`, and nobody waits for it.
 * - `stop` comes for trials that are paused; after `finished` no trial is under way or paused.
 */
export function nextDecision(config: TuneConfig, state: TuneState): TuneDecision {
  const { trials } = state;
  const step = nextStep(config, state);
  if (step?.kind === 'stop') return step;
  const numUnderWay = trials.filter(isUnderWay).length;
  if (numUnderWay >= Math.max(1, config.concurrency)) return { kind: 'wait' };
  if (step?.kind === 'grow') {
    const params = suggestParams(config, trials);
    const { untilEpoch, bracket } = step;
    if (params !== null) {
      return { kind: 'start', trial: trials.length, params, untilEpoch, ...(bracket === undefined ? {} : { bracket }) };
    }
  } else if (step !== null) return step;
  if (numUnderWay > 0) return { kind: 'wait' };
  const left = trials.find(({ status, untilEpoch }) => status === 'paused' && untilEpoch < config.base.train.epochs);
  if (left === undefined) return { kind: 'finished' };
  return { kind: 'stop', trial: left.id, reason: `not among the best after ${left.untilEpoch} epochs` };
}

function nextStep(config: TuneConfig, { trials }: TuneState): SchedulerStep {
  const { scheduler } = config;
  const numTrials = numTrialsOf(config);
  switch (scheduler.kind) {
    case 'none':
      return none({ scheduler, config, trials, numTrials });
    case 'medianStop':
      return medianStop({ scheduler, config, trials, numTrials });
    case 'asha':
      return asha({ scheduler, config, trials, numTrials });
    case 'hyperband':
      return hyperband({ scheduler, config, trials, numTrials });
    case 'pbt':
      return pbt({ scheduler, config, trials, numTrials });
    default:
      return assertNever(scheduler);
  }
}
