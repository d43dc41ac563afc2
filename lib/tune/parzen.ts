import type { Json, JsonObject } from '../../contracts/json.ts';
import type { SearchSpace } from '../../contracts/tuning.ts';
import { canonical, dimensionOrder, drawValue, inner, interval, isActive, quantum, valueAtInner } from './dimension.ts';
import type { NumericDimension } from './dimension.ts';

/** The breadth of a kernel over the whole interval, before it shrinks with the number of observations. */
const BREADTH = 0.2;

/**
 * A density over a search space: an equally weighted mixture of the prior and one kernel around each observation (Bergstra et al. 2011,
 * "Algorithms for Hyper-Parameter Optimization", sec. 4.2). A kernel is the product over dimensions of truncated Gaussians and of smoothed
 * categories, so what goes together stays together (Falkner et al. 2018, BOHB, arXiv 1807.01774 sec. 3.2). Where an observation lacks a
 * dimension, since its condition did not hold, its kernel is the prior in that dimension: the tree of the space needs no other care.
 */
export interface ParzenEstimator {
  sample(uniform: () => number): JsonObject;
  logDensity(params: JsonObject): number;
}

export function createParzenEstimator(space: SearchSpace, observations: readonly JsonObject[]): ParzenEstimator {
  const order = dimensionOrder(space);
  // Scott's rule, as in BOHB: more observations in fewer dimensions are told apart more finely.
  const shrink = BREADTH * Math.max(1, observations.length) ** (-1 / (order.length + 4));
  const numKernels = observations.length + 1;

  return {
    sample(uniform) {
      const centre = observations[Math.floor(uniform() * numKernels)];
      const params: JsonObject = {};
      for (const path of order) {
        const dimension = space[path]!;
        if (!isActive(dimension, params)) continue;
        const around = centre !== undefined && Object.hasOwn(centre, path) ? centre[path] : undefined;
        if (around === undefined) params[path] = drawValue(dimension, uniform());
        else if (dimension.kind === 'choice') {
          // The observed one, but for the share that smoothing gives to all.
          const isOther = uniform() < smoothing(dimension.values, numKernels);
          params[path] = isOther ? drawValue(dimension, uniform()) : around;
        } else params[path] = sampleNear(dimension, Number(around), shrink, uniform);
      }
      return params;
    },

    logDensity(params) {
      const logs = [undefined, ...observations].map((centre) =>
        order.reduce((sum, path) => {
          const value = params[path];
          if (value === undefined) return sum;
          const dimension = space[path]!;
          const around = centre !== undefined && Object.hasOwn(centre, path) ? centre[path] : undefined;
          if (dimension.kind === 'choice') {
            return sum + Math.log(categoryShare(dimension.values, value, around, numKernels));
          }
          const near = around === undefined ? undefined : Number(around);
          return sum + logKernel(dimension, Number(value), near, shrink);
        }, 0),
      );
      const most = Math.max(...logs);
      return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0) / numKernels);
    },
  };
}

/** The share of a categorical kernel that is spread evenly over all values. */
function smoothing(values: readonly Json[], numKernels: number): number {
  return values.length / (values.length + numKernels);
}

function categoryShare(values: readonly Json[], value: Json, around: Json | undefined, numKernels: number): number {
  if (around === undefined) return 1 / values.length;
  const even = smoothing(values, numKernels);
  return even / values.length + (canonical(value) === canonical(around) ? 1 - even : 0);
}

/** A truncated Gaussian around a value; drawn again until it falls inside, which at worst every second draw does. */
function sampleNear(dimension: NumericDimension, around: number, shrink: number, uniform: () => number): number {
  const { from, to } = interval(dimension);
  const centre = inner(dimension, around);
  const sigma = shrink * (to - from);
  for (let attempt = 0; attempt < 100; attempt++) {
    const normal = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    const place = centre + sigma * normal;
    if (place >= from && place <= to) return valueAtInner(dimension, place);
  }
  return around;
}

/** Log of the density at a value or, where values are discrete, of the mass of its own interval. */
function logKernel(dimension: NumericDimension, value: number, around: number | undefined, shrink: number): number {
  const { from, to } = interval(dimension);
  const half = quantum(dimension) / 2;
  const low = inner(dimension, value - half);
  const high = inner(dimension, value + half);
  if (around === undefined) return Math.log(half === 0 ? 1 / (to - from) : (high - low) / (to - from));
  const centre = inner(dimension, around);
  const sigma = shrink * (to - from);
  const inside = cumulative((to - centre) / sigma) - cumulative((from - centre) / sigma);
  if (half === 0) {
    const z = (low - centre) / sigma;
    return -0.5 * z * z - Math.log(sigma * Math.sqrt(2 * Math.PI) * inside);
  }
  // Far away the difference of two nearly equal numbers is rounding: a floor keeps the logarithm finite, the prior decides there.
  const mass = cumulative((high - centre) / sigma) - cumulative((low - centre) / sigma);
  return Math.log(Math.max(mass / inside, 1e-12));
}

/** The standard normal distribution function (Abramowitz and Stegun 7.1.26, error below 1.5e-7). */
export function cumulative(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const erf = 1 - poly * Math.exp(-x * x);
  return z < 0 ? (1 - erf) / 2 : (1 + erf) / 2;
}
