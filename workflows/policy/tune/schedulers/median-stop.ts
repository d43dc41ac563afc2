import type { Trial } from '../../../../contracts/tuning.ts';
import type { Scheduler } from '../scheduler.ts';
import { compare, hasReached, valueAt } from '../standing.ts';

/** A median of fewer others says nothing yet. */
const MIN_OTHERS = 3;

/**
 * Median stopping rule (Golovin et al. 2017, Google Vizier, sec. 3.2.2): a trial that comes to a check is stopped if its best value is
 * strictly below the median of what the others had there. Reports are each trial's best so far, where the paper takes running averages
 * of the others; and everyone that came so far counts, not only those that were completed. A trial pauses at each check, so a decision
 * does not depend on how soon reports travel.
 */
export const medianStop: Scheduler<'medianStop'> = ({ config, scheduler, trials, numTrials }) => {
  const epochs = config.base.train.epochs;
  const { grace, every } = scheduler;
  const paused = trials.filter((trial) => trial.status === 'paused' && trial.untilEpoch < epochs);
  for (const trial of paused) {
    const bar = medianOfOthers(trial, trials);
    const value = valueAt(trial, trial.untilEpoch);
    if (bar !== null && value < bar) {
      const reason = `${shown(value)} after ${trial.untilEpoch} epochs, below the others' median of ${shown(bar)}`;
      return { kind: 'stop', trial: trial.id, reason };
    }
  }
  const [next] = paused;
  if (next !== undefined) {
    return { kind: 'promote', trial: next.id, untilEpoch: Math.min(epochs, next.untilEpoch + every) };
  }
  return trials.length < numTrials ? { kind: 'grow', untilEpoch: Math.min(epochs, grace) } : null;
};

/** What the others had when they came to where a trial stands; `null` while they are too few. */
function medianOfOthers(trial: Trial, trials: readonly Trial[]): number | null {
  const epoch = trial.untilEpoch;
  const values = trials
    .filter((other) => other.id !== trial.id && other.status !== 'failed' && hasReached(other, epoch))
    .map((other) => valueAt(other, epoch))
    .sort(compare);
  if (values.length < MIN_OTHERS) return null;
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}

function shown(value: number): string {
  return Number.isFinite(value) ? value.toFixed(4) : 'nothing';
}
