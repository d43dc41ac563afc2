import type { Scalar, Tensor, Tensor2D, Variable } from '@tensorflow/tfjs';
import type { LossConfig, TrainConfig } from '../../contracts/training.ts';
import type { Tf } from '../nn/tf.ts';
import { usesProxies } from './losses/index.ts';
import { normals, randomOf } from './random.ts';

export type ParameterName = 'kernel' | 'bias' | 'proxies';

/** F features, D embedding, C labels: kernel [F, D], bias [D], proxies [C, D] where the loss has them. */
export interface HeadShape {
  featureDim: number;
  dim: number;
  numLabels: number;
}

/** What is learnt with a loss, in the order in which it is kept; and how each is laid out. */
export function parameterShapes(
  loss: LossConfig,
  { featureDim, dim, numLabels }: HeadShape,
): { name: ParameterName; shape: number[] }[] {
  return [
    { name: 'kernel', shape: [featureDim, dim] },
    { name: 'bias', shape: [dim] },
    ...(usesProxies(loss) ? [{ name: 'proxies' as const, shape: [numLabels, dim] }] : []),
  ];
}

/** Weight decay is on the kernel alone. */
export function decays(name: ParameterName): boolean {
  return name === 'kernel';
}

/** Parameters before the first step: a pure function of the seed. */
export function initialValues(
  { seed, loss }: Pick<TrainConfig, 'seed' | 'loss'>,
  { featureDim, dim, numLabels }: HeadShape,
): Record<string, Float32Array> {
  const random = randomOf(seed, 'initial');
  const scale = 1 / Math.sqrt(featureDim);
  return {
    kernel: normals(featureDim * dim, random).map((value) => value * scale),
    bias: new Float32Array(dim),
    ...(usesProxies(loss) && { proxies: normals(numLabels * dim, random) }),
  };
}

/** A head's parameters as TensorFlow variables: one tensor each, until `dispose`. */
export class HeadModel {
  protected readonly tf: Tf;
  protected readonly parameters: { name: ParameterName; shape: number[]; value: Variable }[];

  constructor(tf: Tf, loss: LossConfig, shape: HeadShape, values: Record<string, Float32Array>) {
    this.tf = tf;
    this.parameters = parameterShapes(loss, shape).map(({ name, shape: own }) => ({
      name,
      shape: own,
      value: tf.tidy(() => tf.variable(tf.tensor(values[name]!, own, 'float32'))),
    }));
  }

  /** Unit rows [B, D] of standardised features [B, F]. */
  embed(features: Tensor2D): Tensor2D {
    const { tf } = this;
    return unitRows(tf, tf.add(tf.matMul(features, this.#get('kernel') as Tensor2D), this.#get('bias')!));
  }

  /** Unit rows [C, D], or null for a loss without proxies. */
  proxies(): Tensor2D | null {
    const proxies = this.#get('proxies');
    return proxies ? unitRows(this.tf, proxies) : null;
  }

  /** The loss and its gradients by parameter name; the caller disposes both. */
  gradients(loss: () => Scalar): { loss: Scalar; gradients: Record<string, Tensor> } {
    const { value, grads } = this.tf.variableGrads(
      loss,
      this.parameters.map(({ value: variable }) => variable),
    );
    return { loss: value, gradients: Object.fromEntries(this.parameters.map((p) => [p.name, grads[p.value.name]!])) };
  }

  /** Copies the values out of the backend. */
  readValues(): Record<string, Float32Array> {
    return Object.fromEntries(this.parameters.map((p) => [p.name, Float32Array.from(p.value.dataSync<'float32'>())]));
  }

  /** Puts other values in place of these. */
  writeValues(values: Record<string, Float32Array>): void {
    const { tf } = this;
    tf.tidy(() => {
      for (const { name, shape, value } of this.parameters) value.assign(tf.tensor(values[name]!, shape, 'float32'));
    });
  }

  dispose(): void {
    this.tf.dispose(this.parameters.map(({ value }) => value));
  }

  #get(name: ParameterName): Tensor | undefined {
    return this.parameters.find((parameter) => parameter.name === name)?.value;
  }
}

function unitRows(tf: Tf, rows: Tensor): Tensor2D {
  return tf.div(rows, tf.sqrt(tf.add(tf.sum(tf.square(rows), 1, true), 1e-12)));
}
