/** Convolution weights as ONNX wants them: [out, in / groups, height, width]. */
export interface Kernel {
  dims: number[];
  groups: number;
  data: Float32Array;
}

export interface BatchNorm {
  gamma: Float32Array | undefined;
  beta: Float32Array | undefined;
  mean: Float32Array;
  variance: Float32Array;
  epsilon: number;
}

/** HWIO -> OIHW. */
export function kernelFromHwio({ shape, data }: { shape: number[]; data: Float32Array }): Kernel {
  const [height, width, inputs, outputs] = shape as [number, number, number, number];
  return { dims: [outputs, inputs, height, width], groups: 1, data: outermost(data, height * width, inputs, outputs) };
}

/** [H, W, C, M] -> [C * M, 1, H, W], one group per input channel. */
export function depthwiseKernel({ shape, data }: { shape: number[]; data: Float32Array }): Kernel {
  const [height, width, channels, multiplier] = shape as [number, number, number, number];
  const outputs = channels * multiplier;
  return { dims: [outputs, 1, height, width], groups: channels, data: outermost(data, height * width, 1, outputs) };
}

/** [area, inputs, outputs] -> [outputs, inputs, area]. */
function outermost(data: Float32Array, area: number, inputs: number, outputs: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let a = 0; a < area; a++) result[(o * inputs + i) * area + a] = data[(a * inputs + i) * outputs + o]!;
    }
  }
  return result;
}

/** Batch norm at inference is `x * scale + shift` per channel. Computed in f64, rounded once. */
export function batchNormScale(norm: BatchNorm): { scale: Float32Array; shift: Float32Array } {
  const factor = (c: number): number => (norm.gamma?.[c] ?? 1) / Math.sqrt(norm.variance[c]! + norm.epsilon);
  return {
    scale: norm.mean.map((_, c) => factor(c)),
    shift: norm.mean.map((mean, c) => (norm.beta?.[c] ?? 0) - mean * factor(c)),
  };
}

/** The convolution that equals `norm(conv(x) + bias)`. */
export function foldBatchNorm(
  kernel: Kernel,
  bias: Float32Array | undefined,
  norm: BatchNorm,
): { kernel: Kernel; bias: Float32Array } {
  const perOutput = kernel.data.length / kernel.dims[0]!;
  const factor = (c: number): number => (norm.gamma?.[c] ?? 1) / Math.sqrt(norm.variance[c]! + norm.epsilon);
  const data = kernel.data.map((value, i) => value * factor(Math.floor(i / perOutput)));
  const shifted = norm.mean.map((mean, c) => (norm.beta?.[c] ?? 0) + ((bias?.[c] ?? 0) - mean) * factor(c));
  return { kernel: { ...kernel, data }, bias: shifted };
}
