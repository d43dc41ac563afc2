import type { Scalar, Tensor, Tensor2D, Variable } from '@tensorflow/tfjs';
import type { TrainConfig } from '../../contracts/training.ts';
import type { Tf } from '../nn/tf.ts';
import { usesProxies } from './losses/index.ts';
import { normals, randomOf } from './random.ts';

/** Trained parameters by name, and each one's optimiser moments: all that a resumed run needs besides the step. */
export interface HeadParameters {
  values: Record<string, Float32Array>;
  firstMoments: Record<string, Float32Array>;
  secondMoments: Record<string, Float32Array>;
}

interface Parameter {
  name: 'kernel' | 'bias' | 'proxies';
  value: Variable;
  first: Variable;
  second: Variable;
}

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** F features, D embedding, C labels: kernel [F, D], bias [D], proxies [C, D] where the loss has them. */
export interface HeadShape {
  featureDim: number;
  dim: number;
  numLabels: number;
}

/**
 * A head in mid-training: parameters and optimiser moments as TensorFlow variables. Invariant: between steps it owns exactly
 * three tensors per parameter, whatever happened.
 */
export class HeadState {
  readonly #tf: Tf;
  readonly #config: TrainConfig;
  readonly #parameters: Parameter[];

  constructor(tf: Tf, config: TrainConfig, shape: HeadShape, from?: HeadParameters) {
    this.#tf = tf;
    this.#config = config;
    const initial = from?.values ?? initialValues(config, shape);
    const shapes = {
      kernel: [shape.featureDim, shape.dim],
      bias: [shape.dim],
      proxies: [shape.numLabels, shape.dim],
    };
    const names = usesProxies(config.loss) ? (['kernel', 'bias', 'proxies'] as const) : (['kernel', 'bias'] as const);
    this.#parameters = names.map((name) => {
      const variable = (data: Float32Array | undefined): Variable =>
        tf.tidy(() => tf.variable(data ? tf.tensor(data, shapes[name], 'float32') : tf.zeros(shapes[name])));
      return {
        name,
        value: variable(initial[name]),
        first: variable(from?.firstMoments[name]),
        second: variable(from?.secondMoments[name]),
      };
    });
  }

  /** Unit rows [B, D] of standardised features [B, F]. */
  embed(features: Tensor2D): Tensor2D {
    return unitRows(
      this.#tf,
      this.#tf.add(this.#tf.matMul(features, this.#get('kernel') as Tensor2D), this.#get('bias')),
    );
  }

  /** Unit rows [C, D], or null for a loss without proxies. */
  proxies(): Tensor2D | null {
    return usesProxies(this.#config.loss) ? unitRows(this.#tf, this.#get('proxies')) : null;
  }

  /** The loss and its gradients by parameter name; the caller disposes both. */
  gradients(loss: () => Scalar): { loss: Scalar; gradients: Record<string, Tensor> } {
    const { value, grads } = this.#tf.variableGrads(
      loss,
      this.#parameters.map(({ value: variable }) => variable),
    );
    return { loss: value, gradients: Object.fromEntries(this.#parameters.map((p) => [p.name, grads[p.value.name]!])) };
  }

  /**
   * One update: Adam (Kingma & Ba, arXiv 1412.6980, alg. 1) or SGD with momentum, weight decay decoupled from the gradient
   * (Loshchilov & Hutter, arXiv 1711.05101) and on the kernel alone.
   */
  update(gradients: Record<string, Tensor>, learningRate: number, step: number): void {
    const tf = this.#tf;
    const { kind, momentum, weightDecay } = this.#config.optimizer;
    tf.tidy(() => {
      for (const { name, value, first, second } of this.#parameters) {
        const gradient = gradients[name]!;
        const decay = name === 'kernel' ? 1 - learningRate * weightDecay : 1;
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
    const of = (key: 'value' | 'first' | 'second'): Record<string, Float32Array> =>
      Object.fromEntries(this.#parameters.map((p) => [p.name, Float32Array.from(p[key].dataSync<'float32'>())]));
    return { values: of('value'), firstMoments: of('first'), secondMoments: of('second') };
  }

  dispose(): void {
    for (const { value, first, second } of this.#parameters) this.#tf.dispose([value, first, second]);
  }

  #get(name: Parameter['name']): Tensor {
    return this.#parameters.find((parameter) => parameter.name === name)!.value;
  }
}

function unitRows(tf: Tf, rows: Tensor): Tensor2D {
  return tf.div(rows, tf.sqrt(tf.add(tf.sum(tf.square(rows), 1, true), 1e-12)));
}

function initialValues(config: TrainConfig, { featureDim, dim, numLabels }: HeadShape): Record<string, Float32Array> {
  const random = randomOf(config.seed, 'initial');
  const scale = 1 / Math.sqrt(featureDim);
  return {
    kernel: normals(featureDim * dim, random).map((value) => value * scale),
    bias: new Float32Array(dim),
    proxies: usesProxies(config.loss) ? normals(numLabels * dim, random) : new Float32Array(0),
  };
}
