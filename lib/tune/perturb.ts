import type { Json, JsonObject } from '../../contracts/json.ts';
import type { Dimension, SearchSpace } from '../../contracts/tuning.ts';
import { dimensionOrder, drawValue, inner, interval, isActive, quantum, sameJson, valueAtInner } from './dimension.ts';

/** How often a value is drawn anew instead of moved. */
const RESAMPLE = 0.25;
const FACTORS = [0.8, 1.2];

/**
 * Values near others (Jaderberg et al. 2017, arXiv 1711.09846 sec. 4.1.1, "perturb" and "resample"): numbers are multiplied by 0.8 or
 * 1.2 within their range, choices go to a neighbour in their list, and each is drawn anew at times. Dimensions whose condition no longer
 * holds are dropped, those whose condition now does are drawn.
 */
export function perturbParams(space: SearchSpace, params: JsonObject, uniform: () => number): JsonObject {
  const out: JsonObject = {};
  for (const path of dimensionOrder(space)) {
    const dimension = space[path]!;
    if (!isActive(dimension, out)) continue;
    const before = Object.hasOwn(params, path) ? params[path] : undefined;
    const isAnew = before === undefined || uniform() < RESAMPLE;
    out[path] = isAnew ? drawValue(dimension, uniform()) : moved(dimension, before, uniform() < 0.5 ? 0 : 1);
  }
  return out;
}

/** @param up 0: less, or the value before; 1: more, or the value after */
function moved(dimension: Dimension, before: Json, up: 0 | 1): Json {
  if (dimension.kind === 'choice') {
    const at = dimension.values.findIndex((value) => sameJson(value, before)) + (up === 0 ? -1 : 1);
    return dimension.values[Math.min(dimension.values.length - 1, Math.max(0, at))]!;
  }
  const step = quantum(dimension);
  const by = Number(before) * (FACTORS[up]! - 1);
  // A fifth of a small integer would round to no move at all.
  const enough = step > 0 && Math.abs(by) < step ? (up === 0 ? -step : step) : by;
  const { from, to } = interval(dimension);
  const target = Math.min(dimension.high, Math.max(dimension.low, Number(before) + enough));
  return valueAtInner(dimension, Math.min(to, Math.max(from, inner(dimension, target))));
}
