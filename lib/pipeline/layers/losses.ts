import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import type { LossConfig } from '../../../contracts/training.ts';
import type { Tf } from '../../nn/tf.ts';
import { proxySoftmax } from '../../train/losses/proxy-softmax.ts';
import { normals } from '../../train/random.ts';
import { expectAxes } from './layer.ts';
import type { LossBuilder, ParameterSpec } from './layer.ts';
import { unitRows } from './row-wise.ts';

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
      loss: (tf, input, labels) => {
        const own = oneHot(tf, labels, numLabels); // [B, C]
        return tf.neg<Scalar>(tf.mean(tf.sum(tf.mul(own, tf.logSoftmax(input)), 1)));
      },
    };
  };
}

/** The product's loss over unit rows [B, D], with its proxies [C, D] as parameters. */
export function proxyLoss(
  name: string,
  numLabels: number,
  config: Extract<LossConfig, { kind: 'proxySoftmax' }>,
): LossBuilder {
  return (inputShape) => {
    expectAxes(name, inputShape, 1);
    const [dim] = inputShape as [number];
    const loss = proxySoftmax(config);
    return {
      name,
      inputShape,
      parameters: [proxiesOf(numLabels, dim)],
      flopsPerRow: 2 * dim * numLabels + 5 * numLabels,
      loss: (tf, input, labels, [proxies]) =>
        loss({ tf, embeddings: input as Tensor2D, labels, proxies: unitRows(tf, proxies!), random: drawsNothing }),
    };
  };
}

function drawsNothing(): never {
  throw new Error('proxySoftmax draws nothing at random.');
}

function proxiesOf(numLabels: number, dim: number): ParameterSpec {
  return {
    name: 'proxies',
    shape: [numLabels, dim],
    decays: false,
    initial: (random) => normals(numLabels * dim, random),
  };
}

/** [B, C]: 1 at each row's own label. */
export function oneHot(tf: Tf, labels: Int32Array, numLabels: number): Tensor2D {
  return tf.oneHot(tf.tensor1d(labels, 'int32'), numLabels).cast<Tensor2D>('float32');
}
