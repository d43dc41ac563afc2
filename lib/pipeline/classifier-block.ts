import type { Tensor, Tensor2D } from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Tf } from '../nn/tf.ts';
import type { OptimizerConfig, ShardSeed } from '../sync/protocol.ts';
import { normals, randomOf } from '../train/random.ts';
import type { Layer } from './layers/layer.ts';
import { dense } from './layers/dense.ts';
import { unitRows } from './layers/row-wise.ts';
import type { ModelPart } from './model.ts';
import { PartState, untouched } from './part-state.ts';
import { microBatchesOf } from './schedule.ts';

/**
 * A classifier too large for one machine, with softmax cross-entropy over its labels: of inputs [B, D], either the product
 * x W + b, or the product's cosines to one proxy per label, with its scale and margin.
 */
export type Classifier =
  | { kind: 'dense'; name: string; dim: number; numLabels: number }
  | { kind: 'proxySoftmax'; name: string; dim: number; numLabels: number; scale: number; margin: number };

/** The labels `start`..`end`-1 of a classifier: what one machine holds. */
export interface ClassifierBlock {
  classifier: Classifier;
  start: number;
  end: number;
}

/** Even blocks of labels. @throws LookalikeError `invalidInput` when there are fewer labels than machines */
export function blocksOf(classifier: Classifier, numMachines: number): ClassifierBlock[] {
  if (numMachines < 1 || numMachines > classifier.numLabels) {
    throw new LookalikeError(
      'invalidInput',
      `Expected 1 to ${classifier.numLabels} machines for as many labels of ${classifier.name}, got ${numMachines}.`,
    );
  }
  return microBatchesOf(classifier.numLabels, numMachines).map((range) => ({ classifier, ...range }));
}

/**
 * The block's part of what the unsplit classifier starts from. All of it is drawn, for the sequence is one, but never held.
 */
export function freshBlock(
  { classifier, start, end }: ClassifierBlock,
  kind: OptimizerConfig['kind'],
  seed: number,
): ShardSeed {
  const { name, dim, numLabels } = classifier;
  const width = end - start;
  const isDense = classifier.kind === 'dense';
  const values = new Float32Array(dim * width + (isDense ? width : 0));
  if (isDense) {
    const random = randomOf(seed, 'initial', name, 'kernel');
    const deviation = Math.sqrt(2 / dim);
    for (let row = 0; row < dim; row++) {
      const own = normals(numLabels, random).subarray(start, end);
      for (let i = 0; i < width; i++) values[row * width + i] = own[i]! * deviation;
    }
  } else {
    const random = randomOf(seed, 'initial', name, 'proxies');
    for (let label = 0; label < end; label++) {
      const proxy = normals(dim, random);
      if (label >= start) values.set(proxy, (label - start) * dim);
    }
  }
  return untouched(values, kind);
}

/** What the blocks must exchange about a micro-batch of n rows: [3, n] of largest logit, sum of exponentials, own logit. */
export type Statistics = Float32Array;

/** Combines blocks, in their order, to the logarithm of the sum over all labels [n], and the loss of each row [n]. */
export function combine(
  blocks: readonly Statistics[],
  numRows: number,
): { logPartition: Float32Array; loss: number[] } {
  const logPartition = new Float32Array(numRows);
  const loss = Array.from({ length: numRows }, (_, row) => {
    const largest = Math.max(...blocks.map((block) => block[row]!));
    const sum = blocks.reduce((all, block) => all + block[numRows + row]! * Math.exp(block[row]! - largest), 0);
    logPartition[row] = largest + Math.log(sum);
    return blocks.reduce((rest, block) => rest - block[2 * numRows + row]!, largest + Math.log(sum));
  });
  return { logPartition, loss };
}

/**
 * One machine's block in training. Invariant: `gradient` belongs to the last `scores`; between the two it holds three tensors beside
 * its parameters', else none.
 */
export class BlockState {
  readonly #tf: Tf;
  readonly #block: ClassifierBlock;
  readonly #layer: Layer;
  readonly #state: PartState;
  #pending: { input: Tensor2D; own: Tensor2D; logits: Tensor2D } | null = null;

  constructor(tf: Tf, block: ClassifierBlock, optimizer: OptimizerConfig, from: ShardSeed) {
    this.#tf = tf;
    this.#block = block;
    this.#layer = layerOf(block);
    this.#state = new PartState(tf, partOf(this.#layer), optimizer, from);
  }

  /** Steps done. */
  get step(): number {
    return this.#state.step;
  }

  /** Of inputs [n, D] with labels [n] of the whole classifier. */
  scores(values: Float32Array, labels: Int32Array): Statistics {
    const tf = this.#tf;
    const numRows = labels.length;
    const { classifier, start, end } = this.#block;
    this.forget();
    const pending = tf.tidy(() => {
      const input = tf.tensor2d(values, [numRows, classifier.dim]);
      const mask = new Float32Array(numRows * (end - start));
      labels.forEach((label, row) => {
        if (label >= start && label < end) mask[row * (end - start) + label - start] = 1;
      });
      const own = tf.tensor2d(mask, [numRows, end - start]); // [n, C']
      const raw = this.#layer.forward(tf, input, this.#state.tensors);
      const { scale, margin } = marginOf(classifier);
      return { input, own, logits: tf.mul<Tensor2D>(tf.sub(raw, tf.mul(own, margin)), scale) };
    });
    this.#pending = pending;
    return tf.tidy(() => {
      const { logits, own } = pending;
      const largest = tf.max(logits, 1, true); // [n, 1]
      const sum = tf.sum(tf.exp(tf.sub(logits, largest)), 1);
      const ownLogit = tf.sum(tf.mul(logits, own), 1);
      return tf.concat([tf.reshape(largest, [numRows]), sum, ownLogit]).dataSync<'float32'>();
    });
  }

  /** Adds to the block's gradient of `weight` x the sum of losses; returns its part of the gradient by the inputs, [n, D]. */
  gradient(logPartition: Float32Array, weight: number): Float32Array {
    const tf = this.#tf;
    const { input, own, logits } = this.#pending!;
    const byInput = tf.tidy(() => {
      const softmax = tf.exp(tf.sub(logits, tf.reshape(tf.tensor1d(logPartition), [-1, 1])));
      const byRaw = tf.mul(tf.sub(softmax, own), weight * marginOf(this.#block.classifier).scale); // [n, C']
      const grads = tf.grads((x: Tensor, ...parameters: Tensor[]) => this.#layer.forward(tf, x, parameters))(
        [input, ...this.#state.tensors],
        byRaw,
      );
      this.#state.addGradients(grads.slice(1));
      return grads[0]!.dataSync<'float32'>();
    });
    this.forget();
    return byInput;
  }

  /** Ends the step. @throws LookalikeError `nonFinite` before anything changes */
  update(learningRate: number): void {
    this.#state.update(learningRate);
  }

  /** Lets go of a micro-batch that will have no `gradient`. */
  forget(): void {
    if (this.#pending !== null) this.#tf.dispose(Object.values(this.#pending));
    this.#pending = null;
  }

  read(): ShardSeed {
    return this.#state.read();
  }

  dispose(): void {
    this.forget();
    this.#state.dispose();
  }
}

function marginOf(classifier: Classifier): { scale: number; margin: number } {
  return classifier.kind === 'dense' ? { scale: 1, margin: 0 } : classifier;
}

/** [n, D] -> [n, C'] of products or cosines. It starts from {@link freshBlock}: what the layer would draw itself is another block's. */
function layerOf({ classifier, start, end }: ClassifierBlock): Layer {
  const { name, dim } = classifier;
  const width = end - start;
  if (classifier.kind === 'dense') return dense(name, width)([dim]);
  return {
    name,
    inputShape: [dim],
    outputShape: [width],
    parameters: [
      { name: 'proxies', shape: [width, dim], decays: false, initial: (random) => normals(width * dim, random) },
    ],
    flopsPerRow: 2 * dim * width,
    forward: (tf, input, [proxies]) => tf.matMul(input, unitRows(tf, proxies!), false, true),
  };
}

function partOf(layer: Layer): ModelPart {
  return { layers: [layer], loss: null };
}
