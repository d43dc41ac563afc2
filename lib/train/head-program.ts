import type { Tensor, Tensor2D } from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainConfig } from '../../contracts/training.ts';
import type { Tf } from '../nn/tf.ts';
import { BatchPlan } from './batch-plan.ts';
import { sliceOf } from './batches.ts';
import { initialValues } from './head-model.ts';
import type { HeadModel, HeadShape } from './head-model.ts';
import { createLoss, usesProxies } from './losses/index.ts';
import type { Loss } from './losses/index.ts';
import { principalKernel } from './principal-start.ts';
import { randomOf } from './random.ts';
import { foldStandardisation, standardisationOf, standardise } from './standardisation.ts';
import type { Standardisation } from './standardisation.ts';
import type { EpochRecord, TrainState } from './train-state.ts';

/** Shapes: F features, D embedding, B batch. Feature rows of picture p are p * views … p * views + views - 1. */
export interface TrainingData {
  featureDim: number;
  views: number;
  /** [numPictures * views, F], as the backbone made them. */
  features: Float32Array;
  /** [numPictures], 0..numLabels-1; every label occurs. */
  labels: Int32Array;
  numLabels: number;
  /** The retrieval task measured after each epoch: [n, F] each, any labels. */
  queries: Float32Array;
  queryLabels: readonly string[];
  catalogue: Float32Array;
  catalogueLabels: readonly string[];
}

export interface TrainedHead {
  /** The projection: row-major [in, D], and [D]. The first layer, of whatever kind, is over raw features. */
  kernel: Float32Array;
  bias: Float32Array;
  /** Layers before it, each followed by ReLU; none by default. */
  hidden: { kernel: Float32Array; bias: Float32Array }[];
  bestEpoch: number;
  recall: number;
  recallByEpoch: number[];
  numSteps: number;
}

/** One slice of a step: its loss and gradients by parameter name (the caller disposes them), and its rows. */
export interface SliceGradients {
  loss: number;
  gradients: Record<string, Tensor>;
  numRows: number;
}

/**
 * What is learnt, from what and how fast: the one definition of model, loss and data that every strategy computes. All that is
 * drawn at random is a pure function of (seed, step, slice).
 */
export class HeadProgram {
  readonly tf: Tf;
  readonly config: TrainConfig;
  readonly shape: HeadShape;
  readonly batches: BatchPlan;
  /** Whether there is anything to validate by. */
  readonly canJudge: boolean;
  readonly #data: TrainingData;
  readonly #scale: Standardisation;
  readonly #features: Float32Array;
  readonly #queries: Float32Array;
  readonly #catalogue: Float32Array;
  readonly #loss: Loss;

  constructor(tf: Tf, data: TrainingData, config: TrainConfig) {
    const { featureDim, views, numLabels } = data;
    this.batches = new BatchPlan(data, config);
    this.tf = tf;
    this.config = config;
    this.shape = { featureDim, hidden: config.hidden ?? [], dim: config.dim, numLabels };
    this.#data = data;
    this.#scale = standardisationOf(data.features, views, featureDim);
    this.#features = standardise(data.features, this.#scale);
    this.#queries = standardise(data.queries, this.#scale);
    this.#catalogue = standardise(data.catalogue, this.#scale);
    this.#loss = createLoss(config.loss);
    this.canJudge = data.queries.length > 0;
  }

  get stepsPerEpoch(): number {
    return this.batches.stepsPerEpoch;
  }

  get numSteps(): number {
    return this.batches.numSteps;
  }

  learningRateAt(step: number): number {
    return this.batches.learningRateAt(step);
  }

  /** Standardised features of a whole batch, [B, F], as they go into the head: after dropout. */
  inputsAt(step: number): Float32Array {
    return this.#inputsOf(this.batches.at(step).rows, [step]);
  }

  /** The state of a run that starts elsewhere than at random values. */
  start(): TrainState | undefined {
    const { start, dim } = this.config;
    if (start?.kind !== 'principalAxes') return undefined;
    const { features, views } = this.#data;
    const kernel = principalKernel(this.tf, { features, views, scale: this.#scale }, { dim, power: start.power });
    const values = { ...initialValues(this.config, this.shape), kernel };
    return { step: 0, recallByEpoch: [], best: null, values, firstMoments: {}, secondMoments: {} };
  }

  /** @throws LookalikeError `nonFinite` when nothing may be updated from it; `invalidInput` when a batch has too few labels for its slices */
  gradients(head: HeadModel, step: number, slice = 0, numSlices = 1): SliceGradients {
    const { tf, config } = this;
    const { featureDim } = this.shape;
    // A loss over pairs is 0 where nothing differs.
    const minLabels = usesProxies(config.loss) ? 1 : 2;
    const { rows, labels } = sliceOf(this.batches.at(step), slice, numSlices, minLabels);
    // One slice draws what a run without slices draws.
    const key = numSlices === 1 ? [step] : [step, slice];
    const random = randomOf(config.seed, 'loss', ...key);
    const { loss, gradients } = tf.tidy(() => {
      const x = tf.tensor2d(this.#inputsOf(rows, key), [rows.length, featureDim]); // [B, F]
      const made = head.gradients(() =>
        this.#loss({ tf, embeddings: head.embed(x), labels, proxies: head.proxies(), random }),
      );
      return { loss: made.loss, gradients: made.gradients };
    });
    const value = loss.dataSync()[0]!;
    loss.dispose();
    expectFinite(tf, value, gradients, step);
    return { loss: value, gradients, numRows: rows.length };
  }

  /** recall@1 of the head as it stands; equal scores go to the lower row. */
  recall(head: Pick<HeadModel, 'embed'>): number {
    const { tf } = this;
    const { queryLabels, catalogueLabels, featureDim } = this.#data;
    if (queryLabels.length === 0) return 0;
    const nearest = tf.tidy(() => {
      const embedded = (rows: Float32Array): Tensor2D =>
        head.embed(tf.tensor2d(rows, [rows.length / featureDim, featureDim]));
      return tf.argMax(tf.matMul(embedded(this.#queries), embedded(this.#catalogue), false, true), 1).dataSync();
    });
    return queryLabels.filter((label, i) => catalogueLabels[nearest[i]!] === label).length / queryLabels.length;
  }

  /** What a finished run leaves: the head that was kept, over raw features. @throws LookalikeError `invalidInput` without an epoch */
  finish({ best, recallByEpoch }: Pick<EpochRecord, 'best' | 'recallByEpoch'>): TrainedHead {
    if (best === null) throw new LookalikeError('invalidInput', 'Expected at least one epoch of training, got none.');
    const { values, epoch, recall } = best;
    const prefixes = [...(this.config.hidden ?? []).map((_, i) => `hidden${i + 1}.`), ''];
    const layers = prefixes.map((prefix) => ({ kernel: values[`${prefix}kernel`]!, bias: values[`${prefix}bias`]! }));
    layers[0] = foldStandardisation(layers[0]!.kernel, layers[0]!.bias, this.#scale);
    const projection = layers.pop()!;
    return {
      ...{ ...projection, hidden: layers, bestEpoch: epoch, recall },
      ...{ recallByEpoch: [...recallByEpoch], numSteps: this.numSteps },
    };
  }

  #inputsOf(rows: Int32Array, key: number[]): Float32Array {
    return dropout(gather(this.#features, rows, this.shape.featureDim), this.config, key);
  }
}

function gather(features: Float32Array, rows: Int32Array, dim: number): Float32Array {
  const out = new Float32Array(rows.length * dim);
  rows.forEach((row, i) => out.set(features.subarray(row * dim, (row + 1) * dim), i * dim));
  return out;
}

/** Inverted dropout in place; the mask is a pure function of seed and key. */
function dropout(inputs: Float32Array, { featureDropout, seed }: TrainConfig, key: number[]): Float32Array {
  if (featureDropout === 0) return inputs;
  const random = randomOf(seed, 'dropout', ...key);
  const kept = 1 / (1 - featureDropout);
  for (let i = 0; i < inputs.length; i++) inputs[i] = random() < featureDropout ? 0 : inputs[i]! * kept;
  return inputs;
}

function expectFinite(tf: Tf, loss: number, gradients: Record<string, Tensor>, step: number): void {
  const bad = Number.isFinite(loss)
    ? Object.keys(gradients).find(
        (name) => !Number.isFinite(tf.tidy(() => tf.sum(tf.abs(gradients[name]!)).dataSync()[0]!)),
      )
    : 'loss';
  if (bad === undefined) return;
  tf.dispose(gradients);
  throw new LookalikeError(
    'nonFinite',
    `Expected a finite ${bad === 'loss' ? 'loss' : `gradient of the ${bad}`} at step ${step}, got NaN or infinity; the head was not ` +
      'updated. Lower the learning rate.',
    { step },
  );
}
