import { numbersOf } from './kmeans.ts';
import type { TrainingRows } from './kmeans.ts';

/** Values of a byte. */
const LEVELS = 256;

/** Widths and middles of 256 equal steps over each dimension's range in the sample, a little widened for rows not in it. */
export function learnSteps(rows: TrainingRows): { steps: Float32Array; middles: Float32Array } {
  const { dim, numRows } = rows;
  const data = numbersOf(rows);
  const low = new Float32Array(dim).fill(Infinity);
  const high = new Float32Array(dim).fill(-Infinity);
  for (let i = 0; i < numRows * dim; i++) {
    const d = i % dim;
    low[d] = Math.min(low[d]!, data[i]!);
    high[d] = Math.max(high[d]!, data[i]!);
  }
  const steps = Float32Array.from({ length: dim }, (_, d) => ((high[d]! - low[d]!) * 1.02) / (LEVELS - 1));
  // The byte -128 is the lowest value, so that code 0 stands half a step above the middle of the range.
  const middles = Float32Array.from({ length: dim }, (_, d) => (high[d]! + low[d]!) / 2 + steps[d]! / 2);
  return { steps, middles };
}
