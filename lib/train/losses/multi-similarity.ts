import type { Scalar } from '@tensorflow/tfjs';
import type { LossConfig } from '../../../contracts/training.ts';
import { logOnePlusSumExp } from './log-sum-exp.ts';
import type { Loss } from './loss.ts';

/**
 * Multi-similarity (Wang et al., CVPR 2019, eq. 15), the mean over anchors i of
 * 1/alpha log(1 + sum_{k in P_i} e^{-alpha(S_ik - lambda)}) + 1/beta log(1 + sum_{k in N_i} e^{beta(S_ik - lambda)}).
 * P_i and N_i are the pairs that mining leaves: negatives nearer than the farthest positive less epsilon (eq. 11), positives
 * farther than the nearest negative plus epsilon (eq. 12). Which are chosen passes no gradient.
 */
export function multiSimilarity({
  positiveScale: alpha,
  negativeScale: beta,
  threshold: lambda,
  margin: epsilon,
}: Omit<Extract<LossConfig, { kind: 'multiSimilarity' }>, 'kind'>): Loss {
  return ({ tf, embeddings, labels }) => {
    const size = labels.length;
    const s = tf.matMul(embeddings, embeddings, false, true); // [B, B]
    const { positives, negatives } = minePairs(s.dataSync(), labels, epsilon);
    const centred = tf.sub(s, lambda);
    const pull = logOnePlusSumExp(tf, tf.mul(centred, -alpha), tf.tensor2d(positives, [size, size]));
    const push = logOnePlusSumExp(tf, tf.mul(centred, beta), tf.tensor2d(negatives, [size, size]));
    return tf.mean<Scalar>(tf.add(tf.div(pull, alpha), tf.div(push, beta)));
  };
}

/**
 * The pairs worth looking at: 1 where row i keeps column k, each [B, B]. An anchor without a positive keeps no negative, and the
 * other way round.
 * @param similarities [B, B]
 */
export function minePairs(
  similarities: ArrayLike<number>,
  labels: Int32Array,
  margin: number,
): { positives: Float32Array; negatives: Float32Array } {
  const size = labels.length;
  const [positives, negatives] = [new Float32Array(size * size), new Float32Array(size * size)];
  for (let i = 0; i < size; i++) {
    let [farthestPositive, nearestNegative] = [Infinity, -Infinity];
    for (let k = 0; k < size; k++) {
      const value = similarities[i * size + k]!;
      if (labels[k] !== labels[i]) nearestNegative = Math.max(nearestNegative, value);
      else if (k !== i) farthestPositive = Math.min(farthestPositive, value);
    }
    for (let k = 0; k < size; k++) {
      const at = i * size + k;
      const value = similarities[at]!;
      if (labels[k] !== labels[i]) negatives[at] = value > farthestPositive - margin ? 1 : 0;
      else if (k !== i) positives[at] = value < nearestNegative + margin ? 1 : 0;
    }
  }
  return { positives, negatives };
}
