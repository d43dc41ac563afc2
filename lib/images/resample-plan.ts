/** Weights are whole numbers that add up to this for each output position: 16-bit products, no rounding to differ over. */
export const WEIGHT_ONE = 1 << 14;

/** Along one side: output position i is the weighted sum of `taps` source positions from `starts[i]` on. */
export interface AxisPlan {
  /** The source positions in use: [first, first + length). */
  first: number;
  length: number;
  /** Even; positions past the last have weight zero. */
  taps: number;
  /** [size], counted from `first`. */
  starts: Int32Array;
  /** [size, taps], in units of 1 / {@link WEIGHT_ONE}. */
  weights: Int16Array;
}

export interface ResamplePlan {
  size: number;
  columns: AxisPlan;
  rows: AxisPlan;
}

/** Plans kept: pictures of one catalogue often have the same few sizes, and a plan costs as much as a tenth of a resampling. */
const MAX_KEPT = 16;
const kept = new Map<string, ResamplePlan>();

/** For a `width` x `height` picture scaled until its shorter side is `shorterSide`, of which the central `size` x `size` is cut. */
export function planResample(width: number, height: number, shorterSide: number, size: number): ResamplePlan {
  const key = `${width}x${height} ${shorterSide} ${size}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const scale = shorterSide / Math.min(width, height);
  const plan = {
    size,
    columns: planAxis(width, Math.round(width * scale), size),
    rows: planAxis(height, Math.round(height * scale), size),
  };
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(key, plan);
  return plan;
}

/** The central `size` of `scaled` positions among `source` ones; pixel centres map to pixel centres. */
function planAxis(source: number, scaled: number, size: number): AxisPlan {
  const ratio = source / scaled;
  // Shrinking widens the kernel, so that every source position counts and nothing fine turns into patterns.
  const stretch = Math.max(ratio, 1);
  const support = 2 * stretch;
  const taps = 2 * Math.ceil(support);
  const starts = new Int32Array(size);
  const weights = new Int16Array(size * taps);
  const margin = Math.floor((scaled - size) / 2);
  for (let i = 0; i < size; i++) {
    const position = (i + margin + 0.5) * ratio - 0.5;
    const lowest = Math.floor(position - support) + 1;
    const start = clamp(lowest, source);
    const exact = new Float64Array(taps);
    for (let at = lowest; at < position + support; at++) {
      // Beyond the border the border repeats.
      exact[clamp(at, source) - start]! += catmullRom(Math.abs(position - at) / stretch);
    }
    starts[i] = start;
    weights.set(wholeWeights(exact), i * taps);
  }
  const first = starts[0]!;
  const end = Math.min(starts[size - 1]! + taps, source);
  return { first, length: end - first, taps, starts: starts.map((start) => start - first), weights };
}

/** What rounding leaves over goes to the largest, so that a plain colour stays as it is. */
function wholeWeights(exact: Float64Array): Int16Array {
  const total = exact.reduce((sum, weight) => sum + weight, 0);
  const whole = Int16Array.from(exact, (weight) => Math.round((weight / total) * WEIGHT_ONE));
  const largest = whole.indexOf(whole.reduce((a, b) => Math.max(a, b)));
  whole[largest]! += WEIGHT_ONE - whole.reduce((sum, weight) => sum + weight, 0);
  return whole;
}

function clamp(at: number, source: number): number {
  return Math.min(Math.max(at, 0), source - 1);
}

/** Catmull-Rom interpolation (bicubic, a = -1/2). */
function catmullRom(distance: number): number {
  if (distance < 1) return 1.5 * distance ** 3 - 2.5 * distance ** 2 + 1;
  if (distance < 2) return -0.5 * distance ** 3 + 2.5 * distance ** 2 - 4 * distance + 2;
  return 0;
}
