import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { Loss } from './loss.ts';

/**
 * Large-margin cosine loss over one proxy per label (Wang et al., CosFace, arXiv 1801.09414, eq. 4):
 * -log( e^{s(cos_y - m)} / (e^{s(cos_y - m)} + sum_{j != y} e^{s cos_j}) ), averaged over the batch.
 */
export function proxySoftmax({ scale, margin }: { scale: number; margin: number }): Loss {
  return ({ tf, embeddings, labels, proxies }) => {
    if (proxies === null) throw new LookalikeError('invalidInput', 'Expected proxies for proxySoftmax, got none.');
    const [numLabels] = proxies.shape;
    const own = tf.oneHot(tf.tensor1d(labels, 'int32'), numLabels).cast<Tensor2D>('float32'); // [B, C]
    const cosines = tf.matMul(embeddings, proxies, false, true); // [B, C]
    const logits = tf.mul(tf.sub(cosines, tf.mul(own, margin)), scale);
    return tf.neg<Scalar>(tf.mean(tf.sum(tf.mul(own, tf.logSoftmax(logits)), 1)));
  };
}
