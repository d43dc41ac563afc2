import type { Tensor, Tensor2D } from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainConfig } from '../../contracts/training.ts';
import type { Tf } from '../nn/tf.ts';
import { batchOf, stepsPerEpoch } from './batches.ts';
import type { Pool } from './batches.ts';
import { HeadState } from './head-state.ts';
import type { HeadParameters } from './head-state.ts';
import { createLoss } from './losses/index.ts';
import { randomOf } from './random.ts';
import { learningRateAt } from './schedule.ts';
import { foldStandardisation, standardisationOf, standardise } from './standardisation.ts';

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

/** Everything besides data and configuration that the rest of a run depends on. */
export interface TrainState extends HeadParameters {
  /** Steps done. */
  step: number;
  recallByEpoch: number[];
  /** The epoch with the best recall@1 so far and the head (over standardised features) it left; null before the first has ended. */
  best: { epoch: number; recall: number; kernel: Float32Array; bias: Float32Array } | null;
}

export interface StepReport {
  epoch: number;
  step: number;
  numSteps: number;
  loss: number;
  learningRate: number;
  recallByEpoch: readonly number[];
}

export interface TrainHooks {
  signal?: AbortSignal;
  /** Awaited after each step: the place to let other work of the process in. */
  onStep?: (report: StepReport) => Promise<void> | void;
  /** Awaited every `checkpointEverySteps` steps: durable when it returns. */
  onCheckpoint?: (state: TrainState) => Promise<void>;
}

export interface TrainedHead {
  /** Over raw features: row-major [F, D], and [D]. */
  kernel: Float32Array;
  bias: Float32Array;
  bestEpoch: number;
  recall: number;
  recallByEpoch: number[];
  numSteps: number;
}

/**
 * Trains a projection on cached features. With `patience` the best epoch by validation recall@1 is kept, without it the
 * last. A run resumed from any of its
 * checkpoints ends in the same bytes as an uninterrupted one on the same backend: all that is drawn at random is a pure function
 * of (seed, step).
 * @throws LookalikeError `cancelled` | `nonFinite` before the update that would have spoilt the head
 */
export async function trainHead(
  tf: Tf,
  data: TrainingData,
  config: TrainConfig,
  from?: TrainState,
  { signal, onStep, onCheckpoint }: TrainHooks = {},
): Promise<TrainedHead> {
  const { featureDim, views, numLabels } = data;
  const scale = standardisationOf(data.features, views, featureDim);
  const features = standardise(data.features, scale);
  const queries = standardise(data.queries, scale);
  const catalogue = standardise(data.catalogue, scale);
  const pool: Pool = { byLabel: picturesByLabel(data), numPictures: data.labels.length, views };
  const loss = createLoss(config.loss);
  const perEpoch = stepsPerEpoch(pool, config);
  const numSteps = perEpoch * config.epochs;
  const rates = {
    peak: config.optimizer.learningRate,
    warmupSteps: config.schedule.warmupEpochs * perEpoch,
    numSteps,
  };
  const head = new HeadState(tf, config, { featureDim, dim: config.dim, numLabels }, from);
  let best = from?.best ?? null;
  const recallByEpoch = [...(from?.recallByEpoch ?? [])];
  try {
    for (let step = from?.step ?? 0; step < numSteps; step++) {
      if (signal?.aborted)
        throw new LookalikeError('cancelled', `Training was cancelled at step ${step} of ${numSteps}.`);
      const epoch = Math.floor(step / perEpoch);
      if (step % perEpoch === 0 && isExhausted(config.patience, recallByEpoch, best)) break;
      const learningRate = learningRateAt(step, rates);

      const { rows, labels } = batchOf(pool, config, step);
      const random = randomOf(config.seed, 'loss', step);
      const { value, gradients } = tf.tidy(() => {
        const inputs = dropout(gather(features, rows, featureDim), config, step);
        const x = tf.tensor2d(inputs, [rows.length, featureDim]); // [B, F]
        const made = head.gradients(() =>
          loss({ tf, embeddings: head.embed(x), labels, proxies: head.proxies(), random }),
        );
        return { value: made.loss, gradients: made.gradients };
      });
      const lossValue = value.dataSync()[0]!;
      value.dispose();
      expectFinite(tf, lossValue, gradients, step);
      head.update(gradients, learningRate, step);
      tf.dispose(gradients);

      const done = step + 1;
      if (done % perEpoch === 0) {
        const recall = validate(tf, head, queries, catalogue, data);
        recallByEpoch.push(recall);
        // Without early stopping the schedule has come to rest at the end, and the last epoch is the wanted one.
        const isBetter = best === null || config.patience === 0 || queries.length === 0 || recall > best.recall;
        if (isBetter) best = { epoch, recall, ...bestOf(head) };
      }
      if (done % config.checkpointEverySteps === 0 && done < numSteps) {
        await onCheckpoint?.({ step: done, recallByEpoch: [...recallByEpoch], best, ...head.read() });
      }
      await onStep?.({ epoch, step: done, numSteps, loss: lossValue, learningRate, recallByEpoch });
    }
  } finally {
    head.dispose();
  }
  if (best === null) throw new LookalikeError('invalidInput', 'Expected at least one epoch of training, got none.');
  const folded = foldStandardisation(best.kernel, best.bias, scale);
  return { ...folded, bestEpoch: best.epoch, recall: best.recall, recallByEpoch, numSteps };
}

function bestOf(head: HeadState): { kernel: Float32Array; bias: Float32Array } {
  const { values } = head.read();
  return { kernel: values['kernel']!, bias: values['bias']! };
}

function picturesByLabel({ labels, numLabels }: TrainingData): number[][] {
  const byLabel: number[][] = Array.from({ length: numLabels }, () => []);
  labels.forEach((label, picture) => byLabel[label]!.push(picture));
  return byLabel;
}

/** Whether the best epoch lies `patience` finished epochs back; 0 never gives up. */
function isExhausted(patience: number, recallByEpoch: readonly number[], best: TrainState['best']): boolean {
  return patience > 0 && best !== null && recallByEpoch.length - 1 - best.epoch >= patience;
}

function gather(features: Float32Array, rows: Int32Array, dim: number): Float32Array {
  const out = new Float32Array(rows.length * dim);
  rows.forEach((row, i) => out.set(features.subarray(row * dim, (row + 1) * dim), i * dim));
  return out;
}

/** Inverted dropout in place; the mask is a pure function of (seed, step). */
function dropout(inputs: Float32Array, { featureDropout, seed }: TrainConfig, step: number): Float32Array {
  if (featureDropout === 0) return inputs;
  const random = randomOf(seed, 'dropout', step);
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

/** recall@1 of the head as it stands; equal scores go to the lower row. Inputs are standardised. */
function validate(tf: Tf, head: HeadState, queries: Float32Array, catalogue: Float32Array, data: TrainingData): number {
  const { queryLabels, catalogueLabels, featureDim } = data;
  if (queryLabels.length === 0) return 0;
  const nearest = tf.tidy(() => {
    const embedded = (rows: Float32Array): Tensor2D =>
      head.embed(tf.tensor2d(rows, [rows.length / featureDim, featureDim]));
    return tf.argMax(tf.matMul(embedded(queries), embedded(catalogue), false, true), 1).dataSync();
  });
  return queryLabels.filter((label, i) => catalogueLabels[nearest[i]!] === label).length / queryLabels.length;
}
