import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import type { Tf } from '../../nn/tf.ts';

/** Shapes: B batch, D embedding, C labels. */
export interface LossInput {
  tf: Tf;
  /** [B, D], rows of length 1. */
  embeddings: Tensor2D;
  /** [B], 0..C-1. */
  labels: Int32Array;
  /** [C, D], rows of length 1; null for a loss without proxies. */
  proxies: Tensor2D | null;
  /** For a loss that samples; a pure function of (seed, step). */
  random: () => number;
}

export type Loss = (input: LossInput) => Scalar;

/** [B, B]: 1 where both rows carry the same label; the diagonal is 0. */
export function positiveMask(tf: Tf, labels: Int32Array): Tensor2D {
  return pairMask(tf, labels, (a, b) => labels[a] === labels[b]);
}

/** [B, B]: 1 where the rows carry different labels. */
export function negativeMask(tf: Tf, labels: Int32Array): Tensor2D {
  return pairMask(tf, labels, (a, b) => labels[a] !== labels[b]);
}

/** Euclidean distance of unit rows from their cosines; the epsilon keeps the gradient of the root finite at 0. */
export function distances(tf: Tf, embeddings: Tensor2D): Tensor2D {
  const cosines = tf.matMul(embeddings, embeddings, false, true);
  return tf.sqrt(tf.add(tf.relu(tf.sub(2, tf.mul(2, cosines))), 1e-8));
}

function pairMask(tf: Tf, labels: Int32Array, holds: (a: number, b: number) => boolean): Tensor2D {
  const size = labels.length;
  const mask = new Float32Array(size * size);
  for (let a = 0; a < size; a++) for (let b = 0; b < size; b++) if (a !== b && holds(a, b)) mask[a * size + b] = 1;
  return tf.tensor2d(mask, [size, size]);
}
