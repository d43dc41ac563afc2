import type { Tensor, Tensor2D } from '@tensorflow/tfjs';
import type { Tf } from '../../nn/tf.ts';
import { expectAxes, sizeOf } from './layer.ts';
import type { LayerBuilder } from './layer.ts';

/** max(x, 0). */
export function relu(name: string): LayerBuilder {
  return (inputShape) => ({
    name,
    inputShape,
    outputShape: inputShape,
    parameters: [],
    flopsPerRow: sizeOf(inputShape),
    forward: (tf, input) => tf.relu(input),
  });
}

/** [B, ...] -> [B, D]. */
export function flatten(name: string): LayerBuilder {
  return (inputShape) => ({
    name,
    inputShape,
    outputShape: [sizeOf(inputShape)],
    parameters: [],
    flopsPerRow: 0,
    forward: (tf, input) => tf.reshape(input, [input.shape[0], sizeOf(inputShape)]),
  });
}

/** Each row divided by its length: [B, D] -> [B, D]. */
export function l2Normalise(name: string): LayerBuilder {
  return (inputShape) => {
    expectAxes(name, inputShape, 1);
    return {
      name,
      inputShape,
      outputShape: inputShape,
      parameters: [],
      flopsPerRow: 3 * sizeOf(inputShape),
      forward: unitRows,
    };
  };
}

/** [N, D] -> [N, D], rows of length 1; the epsilon, as in the head's own training, keeps the gradient finite at 0. */
export function unitRows(tf: Tf, rows: Tensor): Tensor2D {
  return tf.div(rows, tf.sqrt(tf.add(tf.sum(tf.square(rows), 1, true), 1e-12)));
}
