import { LookalikeError } from '../../../contracts/errors.ts';
import type { Range } from './affine.ts';

/** How the range of a value follows from what it was on real pictures. */
export type Calibration =
  /** All that was ever seen. */
  | { kind: 'minMax' }
  /** All but the outermost values: this share lies inside. */
  | { kind: 'percentile'; share: number }
  /** The range with the least mean square of rounding (inside) and clipping (outside) together. */
  | { kind: 'meanSquares' };

/** Sees values of one tensor, in any number of portions. */
export class RangeObserver {
  private min = Number.POSITIVE_INFINITY;
  private max = Number.NEGATIVE_INFINITY;

  /** @throws LookalikeError `nonFinite` */
  observe(values: Float32Array, name: string): void {
    let { min, max } = this;
    let isFinite = true;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value < min) min = value;
      if (value > max) max = value;
      // Of a NaN no comparison would tell.
      isFinite &&= value - value === 0;
    }
    if (!isFinite) throw new LookalikeError('nonFinite', `Expected finite values of "${name}", got NaN or infinity.`);
    this.min = min;
    this.max = max;
  }

  range(): Range {
    return { min: this.min, max: this.max };
  }
}

const NUM_BINS = 2048;

/** Counts of values in equal bins over a range that is known to hold them. */
export class Histogram {
  readonly range: Range;
  readonly counts = new Float64Array(NUM_BINS);
  readonly binWidth: number;

  constructor(range: Range) {
    this.range = range;
    this.binWidth = (range.max - range.min) / NUM_BINS;
  }

  observe(values: Float32Array): void {
    const { counts, binWidth } = this;
    const { min } = this.range;
    if (!(binWidth > 0)) return;
    const perUnit = 1 / binWidth;
    for (let i = 0; i < values.length; i++) {
      const bin = ((values[i]! - min) * perUnit) | 0;
      counts[bin < NUM_BINS ? bin : NUM_BINS - 1]! += 1;
    }
  }
}

/** The range that the calibration chooses for what the histogram counted. */
export function chooseRange(histogram: Histogram, calibration: Calibration): Range {
  if (calibration.kind === 'minMax' || !(histogram.binWidth > 0)) return histogram.range;
  return calibration.kind === 'percentile'
    ? percentileRange(histogram, calibration.share)
    : leastSquaresRange(histogram);
}

/** A tail on each side that has values, of equal share. */
function percentileRange({ range, counts, binWidth }: Histogram, share: number): Range {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const isOneSided = range.min >= 0;
  const tail = (total * (1 - share)) / (isOneSided ? 1 : 2);
  let [low, high] = [0, NUM_BINS - 1];
  for (let outside = counts[low]!; !isOneSided && outside <= tail && low < high; outside += counts[++low]!);
  for (let outside = counts[high]!; outside <= tail && high > low; outside += counts[--high]!);
  return { min: range.min + low * binWidth, max: range.min + (high + 1) * binWidth };
}

/** Candidates: the whole range, then ever less of it. */
const SHRINK_STEPS = 40;
const LEAST_SHRINK = 0.2;
const LEVELS = 255;

function leastSquaresRange(histogram: Histogram): Range {
  const { range } = histogram;
  let best = range;
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step <= SHRINK_STEPS; step++) {
    const factor = 1 - (step / SHRINK_STEPS) * (1 - LEAST_SHRINK);
    const candidate = { min: range.min * factor, max: range.max * factor };
    const error = squaredError(histogram, candidate);
    if (error < least) [least, best] = [error, candidate];
  }
  return best;
}

/** Rounding errors are spread evenly over a step, so their mean square is a twelfth of its square. */
function squaredError({ range, counts, binWidth }: Histogram, candidate: Range): number {
  // Every range is widened to hold zero.
  const [min, max] = [Math.min(candidate.min, 0), Math.max(candidate.max, 0)];
  const rounding = ((max - min) / LEVELS) ** 2 / 12;
  let sum = 0;
  for (let bin = 0; bin < NUM_BINS; bin++) {
    const value = range.min + (bin + 0.5) * binWidth;
    const outside = Math.max(value - max, min - value, 0);
    sum += counts[bin]! * (outside > 0 ? outside ** 2 : rounding);
  }
  return sum;
}
