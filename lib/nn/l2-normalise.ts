import type { Tensor, Tf } from './tf.ts';

/** Below this length a vector is taken as zero and stays zero. */
const EPSILON = 1e-12;

/** Each row divided by its Euclidean length: [N, D] -> [N, D]. */
export function l2Normalise(tf: Tf, rows: Tensor): Tensor {
  return tf.tidy(() => tf.div(rows, tf.maximum(tf.norm(rows, 'euclidean', 1, true), EPSILON)));
}

/** {@link l2Normalise} as a layer. The class is made per call, since its parent belongs to the `tf` that was passed in. */
export function l2NormaliseLayer(tf: Tf, name: string): InstanceType<Tf['layers']['Layer']> {
  class L2Normalise extends tf.layers.Layer {
    static className = 'L2Normalise';

    override computeOutputShape(inputShape: number[]): number[] {
      return inputShape;
    }

    override call(inputs: Tensor | Tensor[]): Tensor {
      return l2Normalise(tf, Array.isArray(inputs) ? inputs[0]! : inputs);
    }
  }
  return new L2Normalise({ name });
}
