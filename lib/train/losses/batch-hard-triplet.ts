import type { Scalar } from '@tensorflow/tfjs';
import type { Loss } from './loss.ts';
import { distances, negativeMask, positiveMask } from './loss.ts';

/** Far beyond any distance of unit vectors (at most 2): what a masked pair counts as. */
const FAR = 10;

/**
 * Batch-hard triplet (Hermans et al., arXiv 1703.07737, eq. 5): for each anchor the farthest positive and the nearest negative
 * of the batch, mean of max(0, margin + d_ap - d_an). Anchors without a positive are left out.
 */
export function batchHardTriplet({ margin }: { margin: number }): Loss {
  return ({ tf, embeddings, labels }) => {
    const positive = positiveMask(tf, labels);
    const negative = negativeMask(tf, labels);
    const d = distances(tf, embeddings); // [B, B]
    const farthest = tf.max(tf.sub(d, tf.mul(tf.sub(1, positive), FAR)), 1);
    const nearest = tf.min(tf.add(d, tf.mul(tf.sub(1, negative), FAR)), 1);
    const counts = tf.cast(tf.greater(tf.sum(positive, 1), 0), 'float32');
    const hinge = tf.relu(tf.add(margin, tf.sub(farthest, nearest)));
    return tf.div<Scalar>(tf.sum(tf.mul(hinge, counts)), tf.maximum(tf.sum(counts), 1));
  };
}
