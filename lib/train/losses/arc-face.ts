import type { Scalar, Tensor1D } from '@tensorflow/tfjs';
import type { Loss } from './loss.ts';
import { proxyCosines } from './proxies.ts';

/** Keeps the slope of the sine's root finite where a row lies on its proxy; moves no cosine by more than 3e-4. */
const EPSILON = 1e-7;

/**
 * Additive angular margin over one proxy per label (Deng et al., ArcFace, arXiv 1801.07698, eq. 3):
 * -log( e^{s cos(theta_y + m)} / (e^{s cos(theta_y + m)} + sum_{j != y} e^{s cos theta_j}) ), averaged over the batch; m in radians.
 * Beyond theta = pi - m, where cos(theta + m) would rise again and push a row away from its own proxy, it goes on as
 * cos theta + cos m - 1: without a jump, and falling.
 */
export function arcFace({ scale, margin }: { scale: number; margin: number }): Loss {
  const [cosM, sinM] = [Math.cos(margin), Math.sin(margin)];
  return (input) => {
    const { tf } = input;
    const { cosines, own } = proxyCosines(input, 'arcFace');
    const c = tf.sum<Tensor1D>(tf.mul(cosines, own), 1); // [B]: cos theta_y
    const sine = tf.sqrt(tf.add(tf.relu(tf.sub(1, tf.square(c))), EPSILON));
    const shifted = tf.sub(tf.mul(c, cosM), tf.mul(sine, sinM));
    // Which side of the border a row is on passes no gradient.
    const near = tf.tensor1d(Float32Array.from(c.dataSync(), (value) => (value > -cosM ? 1 : 0)));
    const target = tf.add(tf.mul(near, shifted), tf.mul(tf.sub(1, near), tf.add(c, cosM - 1)));
    const change = tf.expandDims(tf.sub(target, c), 1); // [B, 1]
    const logits = tf.mul(tf.add(cosines, tf.mul(own, change)), scale);
    return tf.neg<Scalar>(tf.mean(tf.sum(tf.mul(own, tf.logSoftmax(logits)), 1)));
  };
}
