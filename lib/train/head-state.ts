import type { Tensor, Variable } from '@tensorflow/tfjs';
import type { TrainConfig } from '../../contracts/training.ts';
import type { Tf } from '../nn/tf.ts';
import { HeadModel, decays, initialValues } from './head-model.ts';
import type { HeadShape } from './head-model.ts';

/** Trained parameters by name, and each one's optimiser moments: all that a resumed run needs besides the step. */
export interface HeadParameters {
  values: Record<string, Float32Array>;
  firstMoments: Record<string, Float32Array>;
  secondMoments: Record<string, Float32Array>;
}

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/**
 * A head in mid-training: parameters and optimiser moments as TensorFlow variables. Invariant: between steps it owns exactly
 * three tensors per parameter, whatever happened.
 */
export class HeadState extends HeadModel {
  readonly #optimizer: TrainConfig['optimizer'];
  readonly #moments: { first: Variable; second: Variable }[];

  constructor(tf: Tf, config: TrainConfig, shape: HeadShape, from?: HeadParameters) {
    super(tf, config.loss, shape, from?.values ?? initialValues(config, shape));
    this.#optimizer = config.optimizer;
    this.#moments = this.parameters.map(({ name, shape: own }) => {
      const variable = (data: Float32Array | undefined): Variable =>
        tf.tidy(() => tf.variable(data ? tf.tensor(data, own, 'float32') : tf.zeros(own)));
      return { first: variable(from?.firstMoments[name]), second: variable(from?.secondMoments[name]) };
    });
  }

  /**
   * One update: Adam (Kingma & Ba, arXiv 1412.6980, alg. 1) or SGD with momentum, weight decay decoupled from the gradient
   * (Loshchilov & Hutter, arXiv 1711.05101).
   */
  update(gradients: Record<string, Tensor>, learningRate: number, step: number): void {
    const { tf } = this;
    const { kind, momentum, weightDecay } = this.#optimizer;
    tf.tidy(() => {
      for (const [i, { name, value }] of this.parameters.entries()) {
        const { first, second } = this.#moments[i]!;
        const gradient = gradients[name]!;
        const decay = decays(name) ? 1 - learningRate * weightDecay : 1;
        if (kind === 'sgd') {
          first.assign(tf.add(tf.mul(first, momentum), gradient));
          value.assign(tf.sub(tf.mul(value, decay), tf.mul(first, learningRate)));
          continue;
        }
        first.assign(tf.add(tf.mul(first, BETA1), tf.mul(gradient, 1 - BETA1)));
        second.assign(tf.add(tf.mul(second, BETA2), tf.mul(tf.square(gradient), 1 - BETA2)));
        const mean = tf.div(first, 1 - BETA1 ** (step + 1));
        const deviation = tf.sqrt(tf.div(second, 1 - BETA2 ** (step + 1)));
        const change = tf.div(mean, tf.add(deviation, EPSILON));
        value.assign(tf.sub(tf.mul(value, decay), tf.mul(change, learningRate)));
      }
    });
  }

  /** Copies everything out of the backend. */
  read(): HeadParameters {
    const of = (key: 'first' | 'second'): Record<string, Float32Array> =>
      Object.fromEntries(
        this.parameters.map(({ name }, i) => [name, Float32Array.from(this.#moments[i]![key].dataSync<'float32'>())]),
      );
    return { values: this.readValues(), firstMoments: of('first'), secondMoments: of('second') };
  }

  override dispose(): void {
    super.dispose();
    for (const { first, second } of this.#moments) this.tf.dispose([first, second]);
  }
}
