import type { Trial } from '../../../../contracts/tuning.ts';
import type { Scheduler } from '../scheduler.ts';
import { hasReached, isUnderWay, ranked } from '../standing.ts';

/**
 * Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934, algorithm 2, `get_job`): from the highest rung down, whoever is among
 * the best 1/eta of a rung and was not promoted goes on; else the lowest rung grows. Nobody waits for a rung to fill. The place of a
 * trial that failed after its promotion goes to the next one.
 *
 * When no trial is left to draw and none was trained to the end, as happens with fewer trials than eta^rungs, the best of the highest
 * rung goes on to the end.
 */
export const asha: Scheduler<'asha'> = ({ config, scheduler, trials, numTrials }) => {
  const rungs = rungsOf(scheduler.minEpochs, scheduler.eta, config.base.train.epochs);
  for (let k = rungs.length - 2; k >= 0; k--) {
    const [epoch, nextEpoch] = [rungs[k]!, rungs[k + 1]!];
    const rung = trials.filter((trial) => hasReached(trial, epoch));
    const candidates = ranked(rung.filter(isSound), epoch).slice(0, Math.floor(rung.length / scheduler.eta));
    const promotable = candidates.find((trial) => isPausedAt(trial, epoch));
    if (promotable !== undefined) return { kind: 'promote', trial: promotable.id, untilEpoch: nextEpoch };
  }
  if (trials.length < numTrials) return { kind: 'grow', untilEpoch: rungs[0]! };
  return trials.some(isUnderWay) ? null : lastOnesWay(trials, rungs);
};

/** `minEpochs` x `eta`^i below `epochs`, then `epochs`. */
export function rungsOf(minEpochs: number, eta: number, epochs: number): number[] {
  const rungs: number[] = [];
  for (let epoch = minEpochs; epoch < epochs; epoch *= eta) rungs.push(Math.round(epoch));
  return [...rungs, epochs];
}

function lastOnesWay(trials: readonly Trial[], rungs: readonly number[]): ReturnType<Scheduler<'asha'>> {
  if (trials.some((trial) => trial.status === 'done')) return null;
  for (let k = rungs.length - 2; k >= 0; k--) {
    const [best] = ranked(
      trials.filter((trial) => isPausedAt(trial, rungs[k]!)),
      rungs[k]!,
    );
    if (best !== undefined) return { kind: 'promote', trial: best.id, untilEpoch: rungs[k + 1]! };
  }
  return null;
}

const isSound = (trial: Trial): boolean => trial.status !== 'failed';
const isPausedAt = (trial: Trial, epoch: number): boolean => trial.status === 'paused' && trial.untilEpoch === epoch;
