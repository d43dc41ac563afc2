import type { Scalar, Tensor } from '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TrainConfig } from '../../../contracts/training.ts';
import { conv2d, globalAveragePool, maxPool } from '../../../lib/pipeline/layers/convolution.ts';
import { dense } from '../../../lib/pipeline/layers/dense.ts';
import { sizeOf } from '../../../lib/pipeline/layers/layer.ts';
import type { Layer, RowShape } from '../../../lib/pipeline/layers/layer.ts';
import { proxyLoss, softmaxCrossEntropy } from '../../../lib/pipeline/layers/losses.ts';
import { flatten, l2Normalise, relu } from '../../../lib/pipeline/layers/row-wise.ts';
import { initialValues, layoutOf, sequential, toTensors, wholeGradient } from '../../../lib/pipeline/model.ts';
import { convnet, headModel } from '../../../lib/pipeline/models.ts';
import { HeadState } from '../../../lib/train/head-state.ts';
import { proxySoftmax } from '../../../lib/train/losses/proxy-softmax.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';

const ROWS = 3;
const image: RowShape = [6, 7, 2];
const layers: Layer[] = [
  dense('dense', 4)([5]),
  conv2d('conv2d', 3, 3)(image),
  maxPool('maxPool', 2)(image),
  globalAveragePool('globalAveragePool')(image),
  relu('relu')(image),
  flatten('flatten')(image),
  l2Normalise('l2Normalise')([5]),
];

/** Largest difference between the gradient and central differences of the function, relative to the gradient's length. */
function gradientError(
  of: (inputs: Tensor[]) => Scalar,
  shapes: (readonly number[])[],
  values: Float32Array[],
): number {
  const tensors = (given: Float32Array[]): Tensor[] => given.map((each, i) => tf.tensor(each, [...shapes[i]!]));
  const at = (given: Float32Array[]): number => tf.tidy(() => of(tensors(given)).dataSync()[0]!);
  const gradients = tf.tidy(() =>
    tf
      .grads((...given: Tensor[]) => of(given))(tensors(values))
      .map((gradient) => gradient.dataSync().slice()),
  );
  const size = 1e-2;
  const errors = values.map((each, i) => {
    const measured = each.map((_, j) => {
      const moved = (by: number): number =>
        at(values.map((other, k) => (k === i ? other.map((value, l) => (l === j ? value + by : value)) : other)));
      return (moved(size) - moved(-size)) / (2 * size);
    });
    expect(Math.hypot(...measured)).toBeGreaterThan(1e-3);
    return Math.hypot(...measured.map((value, j) => value - gradients[i]![j]!)) / Math.hypot(...measured);
  });
  return Math.max(...errors);
}

/** Distinct values, none of which is near another or near zero, so that no kink lies within a difference. */
function apart(count: number, key: string): Float32Array {
  const random = randomOf(key);
  const order = Array.from({ length: count }, (_, i) => i).sort(() => random() - 0.5);
  return Float32Array.from(order, (rank) => (rank - count / 2 + 0.5) * 0.05);
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(layers)('$name', (layer) => {
  const shapes = [[ROWS, ...layer.inputShape], ...layer.parameters.map(({ shape }) => shape)];
  const values = shapes.map((shape, i) => apart(sizeOf(shape), `${layer.name} ${i}`));
  const weights = normals(ROWS * sizeOf(layer.outputShape), randomOf('weights'));
  const forward = ([input, ...parameters]: Tensor[]): Tensor => layer.forward(tf, input!, parameters);

  it('puts out the shape that it states', () => {
    const shape = tf.tidy(() => forward(values.map((each, i) => tf.tensor(each, [...shapes[i]!]))).shape);
    expect(shape).toEqual([ROWS, ...layer.outputShape]);
  });

  it('has the gradients that central differences measure', () => {
    const error = gradientError(
      (given) => {
        const output = forward(given);
        return tf.sum(tf.mul(output, tf.tensor(weights, output.shape)));
      },
      shapes,
      values,
    );
    expect(error).toBeLessThan(5e-3);
  });
});

describe.each([
  softmaxCrossEntropy('softmaxCrossEntropy')([4]),
  proxyLoss('proxySoftmax', 4, { kind: 'proxySoftmax', scale: 4, margin: 0.2 })([5]),
])('$name', (loss) => {
  const labels = Int32Array.of(2, 0, 3);
  const shapes = [[ROWS, ...loss.inputShape], ...loss.parameters.map(({ shape }) => shape)];
  const values = shapes.map((shape, i) => normals(sizeOf(shape), randomOf(loss.name, i)));

  it('has the gradients that central differences measure', () => {
    const of = ([input, ...parameters]: Tensor[]): Scalar => loss.loss(tf, input!, labels, parameters);
    expect(gradientError(of, shapes, values)).toBeLessThan(5e-3);
  });

  it('is the mean over rows, whichever are taken together', () => {
    const of = (rows: number[]): number =>
      tf.tidy(() => {
        const [input, ...parameters] = values.map((each, i) => tf.tensor(each, [...shapes[i]!]));
        const taken = tf.gather(input!, rows);
        const own = Int32Array.from(rows, (row) => labels[row]!);
        return loss.loss(tf, taken, own, parameters).dataSync()[0]!;
      });
    expect((of([0, 1]) * 2 + of([2])) / 3).toBeCloseTo(of([0, 1, 2]), 5);
  });
});

describe('sequential', () => {
  it('makes the convolutional network of 56,714 parameters', () => {
    expect(layoutOf(convnet()).length).toBe(56_714);
    expect(convnet().layers.at(-1)!.outputShape).toEqual([10]);
  });

  it('draws the same initial values of a layer in whatever part it lies', () => {
    const { layers: all, loss } = convnet();
    const parts = [
      { layers: all.slice(0, 4), loss: null },
      { layers: all.slice(4), loss },
    ];
    const joined = parts.flatMap((part) => [...initialValues(part, 5)]);
    expect(Float32Array.from(joined)).toEqual(initialValues(convnet(), 5));
    expect(initialValues(convnet(), 6)).not.toEqual(initialValues(convnet(), 5));
  });

  it('refuses layers that do not fit each other, and names that repeat', () => {
    const loss = softmaxCrossEntropy('loss');
    expect(() => sequential('model', [4, 4, 1], [dense('dense', 3)], loss)).toThrow(/dense, got \[4, 4, 1\]/);
    expect(() => sequential('model', [4], [dense('a', 3), dense('a', 3)], loss)).toThrow(/got a twice/);
  });
});

it('has the loss and gradients of the head as one process trains it', () => {
  const shape = { featureDim: 6, dim: 4, numLabels: 3 };
  const loss = { kind: 'proxySoftmax', scale: 8, margin: 0.1 } as const;
  const model = headModel(shape, loss);
  const values = initialValues(model, 1);
  const [kernel, bias, proxies] = tf.tidy(() =>
    toTensors(tf, model, values).map((tensor) => Float32Array.from(tensor.dataSync())),
  );
  const inputs = normals(5 * 6, randomOf('inputs'));
  const labels = Int32Array.of(0, 1, 2, 1, 0);
  const config = { loss, optimizer: { kind: 'sgd' } } as unknown as TrainConfig;
  const named = { kernel: kernel!, bias: bias!, proxies: proxies! };
  const head = new HeadState(tf, config, shape, { values: named, firstMoments: {}, secondMoments: {} });

  const expected = head.gradients(() =>
    proxySoftmax(loss)({
      tf,
      embeddings: head.embed(tf.tensor2d(inputs, [5, 6])),
      labels,
      proxies: head.proxies(),
      random: () => 0,
    }),
  );
  const made = wholeGradient(tf, model, values, { inputs, labels });

  expect(made.loss).toBeCloseTo(expected.loss.dataSync()[0]!, 6);
  const flat = ['kernel', 'bias', 'proxies'].flatMap((name) => [...expected.gradients[name]!.dataSync()]);
  flat.forEach((value, i) => expect(made.gradient[i]).toBeCloseTo(value, 6));
  head.dispose();
});
