import { assertNever } from '../../../contracts/errors.ts';
import type { JsonObject } from '../../../contracts/json.ts';
import type { Trial, TuneConfig } from '../../../contracts/tuning.ts';
import { gridParams } from './search/grid.ts';
import { randomParams } from './search/random.ts';
import { tpeParams } from './search/tpe.ts';

/** The values of the next trial; `null` when every combination has been tried. */
export function suggestParams(config: TuneConfig, trials: readonly Trial[]): JsonObject | null {
  const { search, space, seed } = config;
  switch (search.kind) {
    case 'grid':
      return gridParams(space, search.points, trials.length);
    case 'random': {
      const taken = trials.map(({ params }) => params);
      return randomParams(space, taken, seed, trials.length);
    }
    case 'tpe':
      return tpeParams(config, search, trials);
    default:
      return assertNever(search);
  }
}
