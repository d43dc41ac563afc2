import type { JsonObject } from '../../contracts/json.ts';
import type { SearchSpace } from '../../contracts/tuning.ts';
import { dimensionOrder, drawValue, isActive } from './dimension.ts';

/** One combination drawn evenly. `uniform` gives the number of each path, so that dimensions do not disturb each other. */
export function drawParams(space: SearchSpace, uniform: (path: string) => number): JsonObject {
  const params: JsonObject = {};
  for (const path of dimensionOrder(space)) {
    const dimension = space[path];
    if (dimension !== undefined && isActive(dimension, params)) params[path] = drawValue(dimension, uniform(path));
  }
  return params;
}
