import type { Tensor, Tensor2D } from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Tf } from '../nn/tf.ts';
import type { OptimizerConfig, ShardSeed } from '../sync/protocol.ts';
import type { Layer } from './layers/layer.ts';
import { unitRows } from './layers/row-wise.ts';
import type { ModelPart } from './model.ts';
import { PartState } from './part-state.ts';
import { microBatchesOf } from './schedule.ts';

/**
 * A classifier too large for one machine: normalised softmax over the cosines of inputs [B, D] to one proxy per label, with a scale
 * and a margin. A fully connected layer of unit columns, in other words.
 */
export interface Classifier {
  dim: number;
  numLabels: number;
  scale: number;
  margin: number;
}

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
      `Expected 1 to ${classifier.numLabels} machines for as many labels, got ${numMachines}. Lower train.modelParallel.classifierParts.`,
    );
  }
  return microBatchesOf(classifier.numLabels, numMachines).map((range) => ({ classifier, ...range }));
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
      const { scale, margin } = classifier;
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
      const byRaw = tf.mul(tf.sub(softmax, own), weight * this.#block.classifier.scale); // [n, C']
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

  /** A view, valid until the next update. */
  read(): Readonly<ShardSeed> {
    return this.#state.read();
  }

  dispose(): void {
    this.forget();
    this.#state.dispose();
  }
}

/** [n, D] -> [n, C'] of cosines. The block starts from what it is given, never from what the layer would draw. */
function layerOf({ classifier: { dim }, start, end }: ClassifierBlock): Layer {
  const width = end - start;
  return {
    name: 'proxies',
    inputShape: [dim],
    outputShape: [width],
    parameters: [{ name: 'proxies', shape: [width, dim], decays: false, initial: () => new Float32Array(width * dim) }],
    flopsPerRow: 2 * dim * width,
    forward: (tf, input, [proxies]) => tf.matMul(input, unitRows(tf, proxies!), false, true),
  };
}

function partOf(layer: Layer): ModelPart {
  return { layers: [layer], loss: null };
}
