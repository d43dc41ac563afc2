import type { Trial } from '../../../../contracts/tuning.ts';
import { randomOf } from '../../../../lib/train/random.ts';
import { perturbParams } from '../../../../lib/tune/perturb.ts';
import type { Scheduler } from '../scheduler.ts';
import { hasReached, isUnderWay, ranked } from '../standing.ts';

/**
 * Population-based training (Jaderberg et al. 2017, arXiv 1711.09846, algorithm 1) with truncation selection (sec. 4.1.1): all trials are
 * one population; every `every` epochs each of the worst `quantile` takes over the state and the values of one of the best `quantile`,
 * drawn evenly, and strays from those values. Here the population goes in step: a generation is decided when nobody runs that has yet to
 * reach it, so that fewer workers than trials, or slow ones, change nothing in what is decided.
 */
export const pbt: Scheduler<'pbt'> = ({ config, scheduler, trials, numTrials }) => {
  const epochs = config.base.train.epochs;
  if (trials.length < numTrials) return { kind: 'grow', untilEpoch: Math.min(epochs, scheduler.every) };
  const paused = trials.filter((trial) => trial.status === 'paused' && trial.untilEpoch < epochs);
  if (paused.length === 0) return null;
  const epoch = Math.min(...paused.map(({ untilEpoch }) => untilEpoch));
  if (trials.some((trial) => isUnderWay(trial) && trial.untilEpoch <= epoch)) return null;
  const untilEpoch = Math.min(epochs, epoch + scheduler.every);
  const order = ranked(
    trials.filter((trial) => hasReached(trial, epoch)),
    epoch,
  );
  const numSwapped = Math.min(order.length >> 1, Math.ceil(order.length * scheduler.quantile));
  const here = (trial: Trial): boolean => trial.status === 'paused' && trial.untilEpoch === epoch;
  // The worst first: while they start, those that they copy still stand where they were ranked.
  const worst = order.slice(order.length - numSwapped).find(here);
  if (worst === undefined) {
    const next = order.find(here);
    return next === undefined ? null : { kind: 'promote', trial: next.id, untilEpoch };
  }
  const random = randomOf(config.seed, worst.id, epoch, 'pbt');
  const from = order[Math.floor(random() * numSwapped)]!;
  const params = perturbParams(config.space, from.params, random);
  return { kind: 'exploit', trial: worst.id, from: from.id, params, untilEpoch };
};
