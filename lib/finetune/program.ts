import type { Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import type { FinetuneConfig } from '../../contracts/finetune.ts';
import type { Tf } from '../nn/tf.ts';
import { batchOf, stepsPerEpoch } from '../train/batches.ts';
import type { Pool } from '../train/batches.ts';
import type { HeadShape } from '../train/head-model.ts';
import { createLoss } from '../train/losses/index.ts';
import type { Loss } from '../train/losses/index.ts';
import { randomOf } from '../train/random.ts';
import { learningRateAt } from '../train/schedule.ts';
import type { StepRates } from './adam.ts';
import type { UnitValues } from './backbone-graph.ts';
import type { Cut } from './network.ts';
import { layParameters, startVector, viewsOf } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import { runStages } from './tail.ts';

/** Activations at the cut, [rows, channels, side, side] each; row picture * views + view. */
export interface ActivationSource {
  read(rows: Int32Array): Promise<Float32Array>;
}

/** What is learnt from, and the small retrieval task that is looked at after each epoch. */
export interface FinetuneData {
  views: number;
  /** [numPictures], 0..numLabels-1; every label occurs. */
  labels: Int32Array;
  numLabels: number;
  train: ActivationSource;
  /** Plain views of held-out pictures and of those that should answer; empty where there is nothing to look at. */
  queries: { labels: readonly string[]; source: ActivationSource };
  answers: { labels: readonly string[]; source: ActivationSource };
}

/** Pictures per forward pass where nothing is learnt. */
const EVALUATION_ROWS = 32;

/** What is learnt, from what and how fast. All that is drawn at random is a pure function of (seed, step). */
export class FinetuneProgram {
  readonly parameters: Parameters;
  readonly start: Float32Array;
  readonly stepsPerEpoch: number;
  readonly numSteps: number;
  readonly #tf: Tf;
  readonly #featureDim: number;
  readonly #cut: Cut;
  readonly #config: FinetuneConfig;
  readonly #data: FinetuneData;
  readonly #pool: Pool;
  readonly #loss: Loss;

  /** @param start the backbone's own weights of the stages that learn */
  constructor(tf: Tf, cut: Cut, start: UnitValues, data: FinetuneData, config: FinetuneConfig) {
    this.#tf = tf;
    this.#cut = cut;
    this.#config = config;
    this.#data = data;
    this.#loss = createLoss(config.loss);
    this.#featureDim = cut.stages.at(-1)!.units.at(-1)!.out;
    const shape: HeadShape = { featureDim: this.#featureDim, dim: config.dim, numLabels: data.numLabels };
    this.parameters = layParameters(cut.stages, start, shape, config);
    this.start = startVector(this.parameters, start, shape, config);
    const byLabel: number[][] = Array.from({ length: data.numLabels }, () => []);
    data.labels.forEach((label, picture) => byLabel[label]!.push(picture));
    this.#pool = { byLabel, numPictures: data.labels.length, views: data.views };
    this.stepsPerEpoch = stepsPerEpoch(this.#pool, config);
    this.numSteps = this.stepsPerEpoch * config.epochs;
  }

  ratesAt(step: number): StepRates {
    const { learningRate, warmupEpochs, weightDecay, averaging } = this.#config;
    const warmupSteps = warmupEpochs * this.stepsPerEpoch;
    const { numSteps } = this;
    // A new head learns at once; what it sits on waits until its gradients mean something.
    const head = learningRateAt(step, { peak: learningRate, warmupSteps: 0, numSteps });
    const backbone = step < warmupSteps ? (head * (step + 1)) / warmupSteps : head;
    // Early on the mean would hold little but the start.
    return { head, backbone, weightDecay, averaging: Math.min(averaging, (1 + step) / (10 + step)), numUpdates: step };
  }

  /** Loss and gradient at `values`. @throws LookalikeError `nonFinite` */
  async gradient(values: Float32Array, step: number, into: Float32Array): Promise<number> {
    const tf = this.#tf;
    const { rows, labels } = batchOf(this.#pool, this.#config, step);
    const input = await this.#data.train.read(rows);
    const random = randomOf(this.#config.seed, 'loss', step);
    const { list } = this.parameters;
    const { loss, gradients } = tf.tidy(() => {
      const weights = this.#weights(values);
      const x = this.#activations(input, rows.length);
      const made = tf.valueAndGrads((...tensors: Tensor[]) => {
        const named = Object.fromEntries(list.map(({ name }, i) => [name, tensors[i]!]));
        const features = this.#dropped(runStages(tf, this.#cut.stages, x, named), step);
        const embeddings = this.#embed(features, named);
        return this.#loss({ tf, embeddings, labels, proxies: this.#proxies(named), random });
      })(weights);
      return { loss: made.value, gradients: made.grads };
    });
    try {
      const value = loss.dataSync()[0]!;
      list.forEach(({ offset }, i) => into.set(gradients[i]!.dataSync<'float32'>(), offset));
      expectFinite(value, into, step);
      return value;
    } finally {
      tf.dispose([loss, ...gradients]);
    }
  }

  /** Whether anything can be looked at after an epoch. */
  get canJudge(): boolean {
    return this.#data.queries.labels.length > 0 && this.#data.answers.labels.length > 0;
  }

  /** Share of the queries whose nearest answer has their label; 0 without any. */
  async recall(values: Float32Array): Promise<number> {
    if (!this.canJudge) return 0;
    const tf = this.#tf;
    const { queries, answers } = this.#data;
    const asked = await this.embed(values, queries.source, queries.labels.length);
    const known = await this.embed(values, answers.source, answers.labels.length);
    const { dim } = this.#config;
    const nearest = tf.tidy(() => {
      const rows = (data: Float32Array): Tensor2D => tf.tensor2d(data, [data.length / dim, dim]);
      return tf.argMax(tf.matMul(rows(asked), rows(known), false, true), 1).dataSync<'int32'>();
    });
    return queries.labels.filter((label, i) => answers.labels[nearest[i]!] === label).length / queries.labels.length;
  }

  /** Unit rows [numRows, dim] of the first rows of a source. */
  embed(values: Float32Array, source: ActivationSource, numRows: number): Promise<Float32Array> {
    return this.#forward(values, source, numRows, this.#config.dim, (features, named) => this.#embed(features, named));
  }

  /** Features [numRows, F] of the first rows of a source. */
  features(values: Float32Array, source: ActivationSource, numRows: number): Promise<Float32Array> {
    return this.#forward(values, source, numRows, this.#featureDim, (features) => features);
  }

  async #forward(
    values: Float32Array,
    source: ActivationSource,
    numRows: number,
    width: number,
    finish: (features: Tensor2D, named: Record<string, Tensor>) => Tensor2D,
  ): Promise<Float32Array> {
    const tf = this.#tf;
    const out = new Float32Array(numRows * width);
    const weights = this.#weights(values);
    const named = Object.fromEntries(this.parameters.list.map(({ name }, i) => [name, weights[i]!]));
    try {
      for (let from = 0; from < numRows; from += EVALUATION_ROWS) {
        const rows = Int32Array.from({ length: Math.min(EVALUATION_ROWS, numRows - from) }, (_, i) => from + i);
        const input = await source.read(rows);
        const made = tf.tidy(() =>
          finish(runStages(tf, this.#cut.stages, this.#activations(input, rows.length), named), named),
        );
        out.set(made.dataSync<'float32'>(), from * width);
        made.dispose();
        // Between two passes, messages and an abort get their turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      tf.dispose(weights);
    }
    return out;
  }

  #weights(values: Float32Array): Tensor[] {
    const views = viewsOf(this.parameters, values);
    return this.parameters.list.map(({ name, shape }) => this.#tf.tensor(views[name]!, shape, 'float32'));
  }

  /** [B, C, S, S] as it is kept -> [B, S, S, C]. */
  #activations(input: Float32Array, numRows: number): Tensor4D {
    const { channels, side } = this.#cut;
    return this.#tf.transpose(this.#tf.tensor4d(input, [numRows, channels, side, side]), [0, 2, 3, 1]);
  }

  #embed(features: Tensor2D, named: Record<string, Tensor>): Tensor2D {
    const tf = this.#tf;
    return unitRows(tf, tf.add(tf.matMul(features, named['head/kernel'] as Tensor2D), named['head/bias']!));
  }

  #proxies(named: Record<string, Tensor>): Tensor2D | null {
    const proxies = named['head/proxies'];
    return proxies === undefined ? null : unitRows(this.#tf, proxies);
  }

  /** Inverted dropout on the features; the mask is a pure function of seed and step. */
  #dropped(features: Tensor2D, step: number): Tensor2D {
    const { dropout, seed } = this.#config;
    if (dropout === 0) return features;
    const random = randomOf(seed, 'dropout', step);
    const mask = Float32Array.from({ length: features.size }, () => (random() < dropout ? 0 : 1 / (1 - dropout)));
    return this.#tf.mul(features, this.#tf.tensor2d(mask, features.shape));
  }
}

function unitRows(tf: Tf, rows: Tensor): Tensor2D {
  return tf.div(rows, tf.sqrt(tf.add(tf.sum(tf.square(rows), 1, true), 1e-12)));
}

function expectFinite(loss: number, gradient: Float32Array, step: number): void {
  let sum = loss;
  for (let i = 0; i < gradient.length; i++) sum += Math.abs(gradient[i]!);
  if (Number.isFinite(sum)) return;
  throw new LookalikeError(
    'nonFinite',
    `Expected a finite loss and gradient at step ${step}, got NaN or infinity; nothing was updated. Lower finetune.learningRate.`,
    { step },
  );
}
