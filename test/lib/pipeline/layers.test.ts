import type { Scalar, Tensor } from '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LossConfig, TrainConfig } from '../../../contracts/training.ts';
import { conv2d, globalAveragePool, maxPool } from '../../../lib/pipeline/layers/convolution.ts';
import { dense } from '../../../lib/pipeline/layers/dense.ts';
import { sizeOf } from '../../../lib/pipeline/layers/layer.ts';
import type { Layer, LossLayer, RowShape } from '../../../lib/pipeline/layers/layer.ts';
import { softmaxCrossEntropy } from '../../../lib/pipeline/layers/losses.ts';
import { flatten, l2Normalise, relu, unitRows } from '../../../lib/pipeline/layers/row-wise.ts';
import { initialValues, layoutOf, sequential, toTensors, wholeGradient } from '../../../lib/pipeline/model.ts';
import { convnet } from '../../../lib/pipeline/models.ts';
import { headChain, isRowWise } from '../../../lib/train/head-layers.ts';
import { HeadModel } from '../../../lib/train/head-model.ts';
import { createLoss } from '../../../lib/train/losses/index.ts';
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

/** Every loss that a head can be trained with. */
const LOSSES: LossConfig[] = [
  { kind: 'proxySoftmax', scale: 4, margin: 0.2 },
  { kind: 'arcFace', scale: 4, margin: 0.3 },
  { kind: 'proxyAnchor', scale: 4, margin: 0.1 },
  { kind: 'batchHardTriplet', margin: 0.3 },
  { kind: 'visnetTriplet', margin: 0.3, inClassShare: 0.3 },
  { kind: 'supCon', temperature: 0.2 },
  { kind: 'multiSimilarity', positiveScale: 2, negativeScale: 10, threshold: 0.5, margin: 0.1 },
];
const LABELS = Int32Array.of(2, 0, 3, 2, 0, 3, 1, 1, 3);
const headLoss = (loss: LossConfig): LossLayer =>
  headChain({ loss, seed: 1 }, { featureDim: 6, dim: 5, numLabels: 4 }, LABELS.length).loss;

describe.each([
  { name: 'softmaxCrossEntropy', loss: softmaxCrossEntropy('softmaxCrossEntropy')([4]) },
  ...LOSSES.map((config) => ({ name: config.kind, loss: headLoss(config) })),
])('$name', ({ name, loss }) => {
  const shapes = [[LABELS.length, ...loss.inputShape], ...loss.parameters.map(({ shape }) => shape)];
  const values = shapes.map((shape, i) => normals(sizeOf(shape), randomOf(name, i)));
  /** A head's loss is of unit rows. */
  const of = ([input, ...parameters]: Tensor[], labels = LABELS): Scalar =>
    loss.loss(tf, unitRows(tf, input!), labels, parameters, 3);

  it('has the gradients that central differences measure', () => {
    expect(gradientError((given) => of(given), shapes, values)).toBeLessThan(5e-3);
  });

  it('is a mean over rows, whichever are taken together, where it says so', () => {
    const at = (rows: number[]): number =>
      tf.tidy(() => {
        const [input, ...parameters] = values.map((each, i) => tf.tensor(each, [...shapes[i]!]));
        const labels = Int32Array.from(rows, (row) => LABELS[row]!);
        return of([tf.gather(input!, rows), ...parameters], labels).dataSync()[0]!;
      });
    const all = [...LABELS.keys()];
    const [some, rest] = [all.slice(0, 5), all.slice(5)];
    const mean = (at(some) * some.length + at(rest) * rest.length) / all.length;
    if (loss.isRowWise) expect(mean).toBeCloseTo(at(all), 5);
    else expect(Math.abs(mean - at(all))).toBeGreaterThan(1e-3);
  });
});

it('knows of each loss whether it may be taken in parts', () => {
  expect(LOSSES.filter(isRowWise).map(({ kind }) => kind)).toEqual(['proxySoftmax', 'arcFace']);
  for (const loss of LOSSES) expect(headLoss(loss).isRowWise).toBe(isRowWise(loss));
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

describe.each([
  { name: 'a projection', hidden: [] },
  { name: 'hidden layers', hidden: [7, 5] },
])('the chain of a head with $name', ({ hidden }) => {
  it.each(LOSSES)('has the loss and gradients of the head as one process trains it: $kind', (loss) => {
    const shape = { featureDim: 6, hidden, dim: 4, numLabels: 4 };
    const config = { loss, seed: 1 } as TrainConfig;
    const model = headChain(config, shape, LABELS.length);
    const values = initialValues(model, 1);
    const inputs = normals(LABELS.length * 6, randomOf('inputs'));
    const names = [...hidden.map((_, i) => `hidden${i + 1}.`), ''].flatMap((of) => [`${of}kernel`, `${of}bias`]);
    if (model.loss.parameters.length > 0) names.push('proxies');
    const own = tf.tidy(() => toTensors(tf, model, values).map((tensor) => Float32Array.from(tensor.dataSync())));
    const head = new HeadModel(tf, loss, shape, Object.fromEntries(names.map((each, i) => [each, own[i]!])));

    const expected = head.gradients(() =>
      createLoss(loss)({
        tf,
        embeddings: head.embed(tf.tensor2d(inputs, [LABELS.length, 6])),
        labels: LABELS,
        proxies: head.proxies(),
        random: randomOf(1, 'loss', 2),
      }),
    );
    const made = wholeGradient(tf, model, values, { inputs, labels: LABELS, step: 2 });

    expect(made.loss).toBeCloseTo(expected.loss.dataSync()[0]!, 6);
    const flat = names.flatMap((each) => [...expected.gradients[each]!.dataSync()]);
    expect(flat).toHaveLength(made.gradient.length);
    flat.forEach((value, i) => expect(made.gradient[i]).toBeCloseTo(value, 6));
    head.dispose();
  });
});
