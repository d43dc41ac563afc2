import type { JsonObject } from '../../../../contracts/json.ts';
import type { SearchConfig, Trial, TuneConfig } from '../../../../contracts/tuning.ts';
import { canonical } from '../../../../lib/tune/dimension.ts';
import { tpeCandidates } from '../../../../lib/tune/tpe.ts';
import { randomOf } from '../../../../lib/train/random.ts';
import { compare } from '../standing.ts';
import { randomParams } from './random.ts';

/**
 * A combination by the tree-structured Parzen estimator, which ranks what was trained longer above what was stopped before it, and equals
 * by value. A trial that runs has yet to prove itself, and one that failed should not be repeated: both count as bad, which also keeps
 * trials that run at once apart ("constant liar", Ginsbourger et al. 2010, sec. 4.2).
 */
export function tpeParams(
  { space, seed, base }: TuneConfig,
  search: Extract<SearchConfig, { kind: 'tpe' }>,
  trials: readonly Trial[],
): JsonObject | null {
  const taken = trials.map(({ params }) => params);
  const numKnown = trials.filter(({ status, reports }) => status !== 'failed' && reports.length > 0).length;
  if (numKnown < search.startup) return randomParams(space, taken, seed, trials.length);
  const standing = (trial: Trial): number[] => {
    const last = trial.reports.at(-1);
    if (trial.status === 'failed' || last === undefined) return [-Infinity, -Infinity];
    return [trial.status === 'done' ? base.train.epochs : last.epoch, last.value];
  };
  const order = trials
    .map((trial) => ({ trial, standing: standing(trial) }))
    .sort((a, b) => compare(b.standing[0]!, a.standing[0]!) || compare(b.standing[1]!, a.standing[1]!));
  const known = new Set(taken.map(canonical));
  const candidates = tpeCandidates(
    space,
    order.map(({ trial }) => trial.params),
    search,
    randomOf(seed, trials.length, 'tpe'),
  );
  return candidates.find((params) => !known.has(canonical(params))) ?? randomParams(space, taken, seed, trials.length);
}
