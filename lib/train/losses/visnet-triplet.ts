import type { Scalar } from '@tensorflow/tfjs';
import type { Loss } from './loss.ts';
import { distances } from './loss.ts';

/** In-class negatives come from this nearest share of an anchor's negatives: alike, but another product. */
const NEAR_SHARE = 0.2;

/**
 * Visnet's triplet hinge (Shankar et al., arXiv 1703.02344, sec. 3.3): max(0, margin + D(q,p) - D(q,n)), averaged over all
 * (q, p) pairs of the batch. A share of the negatives is in-class, here the near neighbours of the anchor among the batch's
 * other products; the rest is drawn from all others. Which one is drawn does not pass gradients.
 */
export function visnetTriplet({ margin, inClassShare }: { margin: number; inClassShare: number }): Loss {
  return ({ tf, embeddings, labels, random }) => {
    const size = labels.length;
    const d = distances(tf, embeddings); // [B, B]
    const values = d.dataSync();
    const [positives, negatives]: [number[], number[]] = [[], []]; // flat positions in d
    for (let q = 0; q < size; q++) {
      const others = [...labels.keys()].filter((n) => labels[n] !== labels[q]);
      if (others.length === 0) continue;
      others.sort((a, b) => values[q * size + a]! - values[q * size + b]! || a - b);
      for (let p = 0; p < size; p++) {
        if (p === q || labels[p] !== labels[q]) continue;
        const among = random() < inClassShare ? Math.max(1, Math.floor(others.length * NEAR_SHARE)) : others.length;
        positives.push(q * size + p);
        negatives.push(q * size + others[Math.floor(random() * among)]!);
      }
    }
    if (positives.length === 0) return tf.mul<Scalar>(tf.sum(d), 0);
    const picked = (positions: number[]) => {
      // A one-hot product instead of gather: its gradient exists on every backend.
      const rows = tf
        .oneHot(
          positions.map((at) => Math.floor(at / size)),
          size,
        )
        .cast('float32');
      const columns = tf
        .oneHot(
          positions.map((at) => at % size),
          size,
        )
        .cast('float32');
      return tf.sum(tf.mul(tf.matMul(rows, d), columns), 1);
    };
    return tf.mean<Scalar>(tf.relu(tf.add(margin, tf.sub(picked(positives), picked(negatives)))));
  };
}
