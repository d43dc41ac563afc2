import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import type { Tf } from '../../nn/tf.ts';
import { expectAxes } from './layer.ts';
import type { LossBuilder } from './layer.ts';

/** -log softmax(x)_y, averaged over rows: the input is one logit per label, [B, C]. */
export function softmaxCrossEntropy(name: string): LossBuilder {
  return (inputShape) => {
    expectAxes(name, inputShape, 1);
    const [numLabels] = inputShape as [number];
    return {
      name,
      inputShape,
      parameters: [],
      flopsPerRow: 5 * numLabels,
      isRowWise: true,
      loss: (tf, input, labels) => {
        const own = oneHot(tf, labels, numLabels); // [B, C]
        return tf.neg<Scalar>(tf.mean(tf.sum(tf.mul(own, tf.logSoftmax(input)), 1)));
      },
    };
  };
}

/** [B, C]: 1 at each row's own label. */
export function oneHot(tf: Tf, labels: Int32Array, numLabels: number): Tensor2D {
  return tf.oneHot(tf.tensor1d(labels, 'int32'), numLabels).cast<Tensor2D>('float32');
}
