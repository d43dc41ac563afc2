import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs';
import type { Tf } from '../../nn/tf.ts';

/** Takes what is masked out of a sum of exponentials: e^-FAR is 0. */
const FAR = 1e9;

/**
 * log(1 + sum_j mask_ij e^{x_ij}) of each row of `values` [n, m], which overflows for no finite x. `mask` [n, m] holds 0 and 1; a
 * row without a 1 gives 0.
 */
export function logOnePlusSumExp(tf: Tf, values: Tensor2D, mask: Tensor2D): Tensor1D {
  const kept = tf.sub(tf.mul(values, mask), tf.mul(tf.sub(1, mask), FAR));
  const highest = tf.relu(tf.max(kept, 1, true)); // [n, 1]: also above the 0 whose exponential is the 1
  const sum = tf.add(tf.sum(tf.exp(tf.sub(kept, highest)), 1, true), tf.exp(tf.neg(highest)));
  return tf.squeeze<Tensor1D>(tf.add(highest, tf.log(sum)), [1]);
}
