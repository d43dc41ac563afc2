import { roundHalfEven } from './affine.ts';

/** An i8 weight w of output o stands for w * scales[o]; no zero points, so that zero stays zero. */
export interface QuantisedKernel {
  /** In the order of the kernel. */
  values: Int8Array;
  /** [outputs]. */
  scales: Float32Array;
}

/** A bias is i32, in units of input scale times weight scale; this leaves room above it for the sum. */
const LARGEST_BIAS = 2 ** 30;

/**
 * Symmetric i8 weights with a scale for each output: outputs of one layer differ by orders of magnitude once batch norms are folded in.
 * `data` is outputs-major. A scale is never so small that its output's bias would not fit.
 * @param levels largest magnitude, at most 127
 */
export function quantiseKernel(
  data: Float32Array,
  bias: Float32Array | undefined,
  numOutputs: number,
  inputScale: number,
  levels: number,
): QuantisedKernel {
  const perOutput = data.length / numOutputs;
  const values = new Int8Array(data.length);
  const scales = new Float32Array(numOutputs);
  for (let o = 0; o < numOutputs; o++) {
    const row = data.subarray(o * perOutput, (o + 1) * perOutput);
    const largest = row.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const forBias = Math.abs(bias?.[o] ?? 0) / (inputScale * LARGEST_BIAS);
    const scale = Math.fround(Math.max(largest / levels, forBias)) || 1;
    scales[o] = scale;
    row.forEach((value, i) => {
      values[o * perOutput + i] = Math.min(Math.max(roundHalfEven(value / scale), -levels), levels);
    });
  }
  return { values, scales };
}

/** In the units that the products of inputs and weights have. */
export function quantiseBias(bias: Float32Array, inputScale: number, scales: Float32Array): Int32Array {
  return Int32Array.from(bias, (value, o) => roundHalfEven(value / Math.fround(inputScale * scales[o]!)));
}
