import { createRequire } from 'node:module';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { LayersModel, Tf } from '../../../lib/nn/tf.ts';

/** tfjs on its plain JavaScript backend: slow, but the arbiter of what a layer means. */
export async function plainTf(): Promise<Tf> {
  const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as Tf;
  await tf.setBackend('cpu');
  return tf;
}

/** Gives every weight a seeded value; variances stay positive. */
export function randomise(tf: Tf, model: LayersModel, seed: number): void {
  for (const [i, layer] of model.layers.entries()) {
    layer.setWeights(
      layer.getWeights().map((weight, j) => {
        const values = tf.randomUniform(weight.shape, -1, 1, 'float32', seed + 31 * i + j);
        return layer.getClassName() === 'BatchNormalization' ? tf.add(tf.abs(values), 0.1) : values;
      }),
    );
  }
}

/** Runs an ONNX graph on NCHW or [N, D] data. */
export async function runOnnx(bytes: Uint8Array, input: Float32Array, shape: number[]): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  const results = await session.run({ [session.inputNames[0]!]: new Tensor('float32', input, shape) });
  return results[session.outputNames[0]!]!.data as Float32Array;
}

export function maxAbsDiff(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Array.from(a).reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);
}
