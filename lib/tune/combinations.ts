import type { Json, JsonObject } from '../../contracts/json.ts';
import type { Dimension, SearchSpace } from '../../contracts/tuning.ts';
import { dimensionOrder, isActive } from './dimension.ts';

/**
 * All combinations in order: the last dimension changes fastest, a dimension whose condition does not hold is absent.
 * @param valuesOf the values that a dimension takes, in order
 */
export function* combinations(
  space: SearchSpace,
  valuesOf: (dimension: Dimension) => Iterable<Json>,
): Generator<JsonObject> {
  const order = dimensionOrder(space);
  function* from(depth: number, params: JsonObject): Generator<JsonObject> {
    const path = order[depth];
    const dimension = path === undefined ? undefined : space[path];
    if (path === undefined || dimension === undefined) yield params;
    else if (!isActive(dimension, params)) yield* from(depth + 1, params);
    else for (const value of valuesOf(dimension)) yield* from(depth + 1, { ...params, [path]: value });
  }
  yield* from(0, {});
}

/** How many there are, counted up to `atMost`. */
export function countUpTo(atMost: number, all: Iterable<unknown>): number {
  let count = 0;
  for (const _ of all) if (++count >= atMost) break;
  return count;
}
