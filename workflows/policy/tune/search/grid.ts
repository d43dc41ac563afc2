import type { JsonObject } from '../../../../contracts/json.ts';
import type { SearchSpace } from '../../../../contracts/tuning.ts';
import { combinations } from '../../../../lib/tune/combinations.ts';
import { gridValues } from '../../../../lib/tune/dimension.ts';

/** The combination of a trial, in the order of the grid; `null` after the last one. */
export function gridParams(space: SearchSpace, points: number, trial: number): JsonObject | null {
  let left = trial;
  for (const params of combinations(space, (dimension) => gridValues(dimension, points)))
    if (left-- === 0) return params;
  return null;
}
