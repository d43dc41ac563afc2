import { sequential } from './model.ts';
import type { Model } from './model.ts';
import { conv2d, maxPool } from './layers/convolution.ts';
import { dense } from './layers/dense.ts';
import { softmaxCrossEntropy } from './layers/losses.ts';
import { flatten, relu } from './layers/row-wise.ts';

/**
 * The small convolutional network on 28 x 28 x 1 of which this project's figures speak: two valid 3 x 3 convolutions of 16 and 32
 * filters, each with ReLU and 2 x 2 max pooling, then 800 -> 64 -> 10: 56,714 parameters.
 */
export function convnet(): Model {
  return sequential(
    'convnet',
    [28, 28, 1],
    [
      conv2d('conv1', 16, 3), // [26, 26, 16]
      relu('relu1'),
      maxPool('pool1', 2), // [13, 13, 16]
      conv2d('conv2', 32, 3), // [11, 11, 32]
      relu('relu2'),
      maxPool('pool2', 2), // [5, 5, 32]
      flatten('flatten'), // [800]
      dense('hidden', 64),
      relu('relu3'),
      dense('logits', 10),
    ],
    softmaxCrossEntropy('loss'),
  );
}

export interface FullyConnectedShape {
  inputDim: number;
  width: number;
  depth: number;
  numLabels: number;
}

/** `depth` hidden layers of `width` between `inputDim` features and `numLabels` logits: nearly all of its bytes are matrices. */
export function fullyConnected(shape: FullyConnectedShape): Model {
  const hidden = Array.from({ length: shape.depth }, (_, i) => [
    dense(`hidden${i + 1}`, shape.width),
    relu(`relu${i + 1}`),
  ]);
  const layers = [...hidden.flat(), dense('logits', shape.numLabels)];
  return sequential('fullyConnected', [shape.inputDim], layers, softmaxCrossEntropy('loss'));
}
