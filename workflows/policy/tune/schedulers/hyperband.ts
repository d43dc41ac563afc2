import type { Trial } from '../../../../contracts/tuning.ts';
import type { Scheduler } from '../scheduler.ts';
import { hasReached, isUnderWay, ranked, valueAt } from '../standing.ts';

/** One bracket of successive halving: after `epochs[i]` epochs, the best `counts[i + 1]` of `counts[i]` go on. */
export interface Bracket {
  counts: number[];
  epochs: number[];
}

/**
 * The brackets of Hyperband (Li et al. 2018, arXiv 1603.06560, algorithm 1 and table 1), from the one that stops most to the one that
 * stops nobody.
 * @param maxEpochs R, the most that one trial is trained
 */
export function bracketsOf(maxEpochs: number, eta: number): Bracket[] {
  // floor(log_eta R) without a logarithm, which would put 3^5 below 5.
  let most = 0;
  for (let power = eta; power <= maxEpochs; power *= eta) most++;
  return Array.from({ length: most + 1 }, (_, position) => {
    const s = most - position;
    const n = Math.ceil(((most + 1) * eta ** s) / (s + 1));
    return {
      counts: Array.from({ length: s + 1 }, (_, i) => Math.floor(n / eta ** i)),
      epochs: Array.from({ length: s + 1 }, (_, i) => Math.max(1, Math.round(maxEpochs / eta ** (s - i)))),
    };
  });
}

/**
 * Hyperband: brackets are filled in turn, over and over, until there are `numTrials`; the last one may be smaller than planned. A rung is
 * decided when nobody of it runs any more, which does not keep later brackets from starting. A trial that fails leaves its place empty.
 */
export const hyperband: Scheduler<'hyperband'> = ({ config, scheduler, trials, numTrials }) => {
  const plan = bracketsOf(config.base.train.epochs, scheduler.eta);
  for (let number = 0, first = 0; first < numTrials; number++) {
    const bracket = plan[number % plan.length]!;
    const size = Math.min(bracket.counts[0]!, numTrials - first);
    const members = trials.slice(first, first + size);
    const step = members.length === size ? halve(members, bracket, scheduler.eta) : null;
    if (step !== null) return step;
    if (members.length < size) return { kind: 'grow', untilEpoch: bracket.epochs[0]!, bracket: number };
    first += size;
  }
  return null;
};

/** The next step within a bracket that is full. */
function halve(members: readonly Trial[], { epochs }: Bracket, eta: number): ReturnType<Scheduler<'hyperband'>> {
  let rung = [...members];
  for (let i = 0; i + 1 < epochs.length; i++) {
    const epoch = epochs[i]!;
    if (rung.some((trial) => isUnderWay(trial) && trial.untilEpoch <= epoch)) return null;
    const order = ranked(
      rung.filter((trial) => hasReached(trial, epoch)),
      epoch,
    );
    // The plan's count, but for a bracket that was cut short: somebody is always trained to the end.
    const numWinners = Math.max(1, Math.floor(members.length / eta ** (i + 1)));
    const winners = order.slice(0, numWinners);
    const loser = order.slice(numWinners).find((trial) => isPausedAt(trial, epoch));
    if (loser !== undefined) {
      const reason = `${valueAt(loser, epoch).toFixed(4)} after ${epoch} epochs, not among the best ${numWinners} of ${order.length}`;
      return { kind: 'stop', trial: loser.id, reason };
    }
    const winner = winners.find((trial) => isPausedAt(trial, epoch));
    if (winner !== undefined) return { kind: 'promote', trial: winner.id, untilEpoch: epochs[i + 1]! };
    rung = winners;
  }
  return null;
}

const isPausedAt = (trial: Trial, epoch: number): boolean => trial.status === 'paused' && trial.untilEpoch === epoch;
