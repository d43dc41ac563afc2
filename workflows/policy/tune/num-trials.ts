import type { TuneConfig } from '../../../contracts/tuning.ts';
import { combinations, countUpTo } from '../../../lib/tune/combinations.ts';
import { everyValue, gridValues, numValues } from '../../../lib/tune/dimension.ts';

/** How many trials there will be: as many as asked for, or all combinations where there are fewer. */
export function numTrialsOf({ numTrials, search, space }: TuneConfig): number {
  if (search.kind === 'grid') {
    return countUpTo(
      numTrials,
      combinations(space, (dimension) => gridValues(dimension, search.points)),
    );
  }
  const isFiniteSpace = Object.values(space).every((dimension) => Number.isFinite(numValues(dimension)));
  return isFiniteSpace ? countUpTo(numTrials, combinations(space, everyValue)) : numTrials;
}
