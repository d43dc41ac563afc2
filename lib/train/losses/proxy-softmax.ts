import type { Scalar } from '@tensorflow/tfjs';
import type { Loss } from './loss.ts';
import { proxyCosines } from './proxies.ts';

/**
 * Large-margin cosine loss over one proxy per label (Wang et al., CosFace, arXiv 1801.09414, eq. 4):
 * -log( e^{s(cos_y - m)} / (e^{s(cos_y - m)} + sum_{j != y} e^{s cos_j}) ), averaged over the batch.
 */
export function proxySoftmax({ scale, margin }: { scale: number; margin: number }): Loss {
  return (input) => {
    const { tf } = input;
    const { cosines, own } = proxyCosines(input, 'proxySoftmax');
    const logits = tf.mul(tf.sub(cosines, tf.mul(own, margin)), scale);
    return tf.neg<Scalar>(tf.mean(tf.sum(tf.mul(own, tf.logSoftmax(logits)), 1)));
  };
}
