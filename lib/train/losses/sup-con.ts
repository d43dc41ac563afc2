import type { Scalar } from '@tensorflow/tfjs';
import type { Loss } from './loss.ts';
import { positiveMask } from './loss.ts';

/** Takes an anchor's own similarity out of its softmax. */
const SELF = 1e9;

/**
 * Supervised contrastive loss (Khosla et al., arXiv 2004.11362, eq. 2, L_out):
 * mean over anchors i of -1/|P(i)| sum_{p in P(i)} log( e^{z_i.z_p/t} / sum_{a != i} e^{z_i.z_a/t} ).
 * With two samples per label it is InfoNCE (NT-Xent) over the batch. Anchors without a positive are left out.
 */
export function supCon({ temperature }: { temperature: number }): Loss {
  return ({ tf, embeddings, labels }) => {
    const positive = positiveMask(tf, labels); // [B, B]
    const cosines = tf.matMul(embeddings, embeddings, false, true);
    const logits = tf.sub(tf.div(cosines, temperature), tf.mul(tf.eye(labels.length), SELF));
    // The diagonal's log-probability is hugely negative but finite, and masked.
    const logLikelihood = tf.sum(tf.mul(positive, tf.logSoftmax(logits)), 1);
    const numPositives = tf.sum(positive, 1);
    const counts = tf.cast(tf.greater(numPositives, 0), 'float32');
    const perAnchor = tf.div(logLikelihood, tf.maximum(numPositives, 1));
    return tf.neg<Scalar>(tf.div(tf.sum(tf.mul(perAnchor, counts)), tf.maximum(tf.sum(counts), 1)));
  };
}
