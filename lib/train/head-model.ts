import type { Scalar, Tensor, Tensor2D, Variable } from '@tensorflow/tfjs';
import type { LossConfig, TrainConfig } from '../../contracts/training.ts';
import type { Layer } from '../pipeline/layers/layer.ts';
import { sizeOf } from '../pipeline/layers/layer.ts';
import { unitRows } from '../pipeline/layers/row-wise.ts';
import type { Tf } from '../nn/tf.ts';
import { headLayers, nameInHead } from './head-layers.ts';
import type { HeadShape } from './head-layers.ts';
import { usesProxies } from './losses/index.ts';
import { normals, randomOf } from './random.ts';

export type { HeadShape } from './head-layers.ts';

export interface ParameterShape {
  name: string;
  shape: number[];
}

/** What the exported layers consist of, in the order in which it is kept: of each a kernel [in, out] and a bias [out]. */
export function embeddingShapes(shape: Omit<HeadShape, 'numLabels'>): ParameterShape[] {
  return headLayers(shape).flatMap(({ name: layer, parameters }) =>
    parameters.map(({ name, shape: own }) => ({ name: nameInHead(layer, name), shape: [...own] })),
  );
}

/** What is learnt with a loss: the exported layers and, where it has them, proxies [C, D]. */
export function parameterShapes(loss: LossConfig, shape: HeadShape): ParameterShape[] {
  const proxies = { name: 'proxies', shape: [shape.numLabels, shape.dim] };
  return [...embeddingShapes(shape), ...(usesProxies(loss) ? [proxies] : [])];
}

const shapesFor = (loss: LossConfig | null, shape: HeadShape): ParameterShape[] =>
  loss === null ? embeddingShapes(shape) : parameterShapes(loss, shape);

/** Weight decay is on kernels alone. */
export function decays(name: string): boolean {
  return name.endsWith('kernel');
}

/** Parameters before the first step: a pure function of the seed. Without a loss, of the exported layers alone. */
export function initialValues(
  config: { seed: number; loss: LossConfig | null },
  shape: HeadShape,
): Record<string, Float32Array> {
  return Object.fromEntries(
    shapesFor(config.loss, shape).map(({ name, shape: own }) => [
      name,
      initialRange(config, shape, name, 0, sizeOf(own)),
    ]),
  );
}

/**
 * Values `start`..`end`-1 of one parameter before the first step. Proxies are drawn after the projection's kernel; what is not asked
 * for is drawn and never held.
 */
export function initialRange(
  { seed }: Pick<TrainConfig, 'seed'>,
  { featureDim, hidden = [], dim }: HeadShape,
  name: string,
  start: number,
  end: number,
): Float32Array {
  if (name.endsWith('bias')) return new Float32Array(end - start);
  const widths = [featureDim, ...hidden];
  const [, number] = /^hidden(\d+)\./.exec(name) ?? [];
  const fanIn = number === undefined ? widths.at(-1)! : widths[Number(number) - 1]!;
  const random = number === undefined ? randomOf(seed, 'initial') : randomOf(seed, 'initial', name);
  const numBefore = start + (name === 'proxies' ? fanIn * dim : 0);
  // Two draws make one normal value.
  for (let i = 0; i < 2 * numBefore; i++) random();
  const values = normals(end - start, random);
  if (name === 'proxies') return values;
  // ReLU halves what comes out of a hidden layer (He et al., arXiv 1502.01852, eq. 10).
  const scale = Math.sqrt(number === undefined ? 1 : 2) / Math.sqrt(fanIn);
  return values.map((value) => value * scale);
}

/** A head's parameters as TensorFlow variables: one tensor each, until `dispose`. */
export class HeadModel {
  protected readonly tf: Tf;
  protected readonly parameters: (ParameterShape & { value: Variable })[];
  readonly #layers: readonly Layer[];

  /** @param loss null for the exported layers alone */
  constructor(tf: Tf, loss: LossConfig | null, shape: HeadShape, values: Record<string, Float32Array>) {
    this.tf = tf;
    this.#layers = headLayers(shape);
    this.parameters = shapesFor(loss, shape).map(({ name, shape: own }) => ({
      name,
      shape: own,
      value: tf.tidy(() => tf.variable(tf.tensor(values[name]!, own, 'float32'))),
    }));
  }

  /** Unit rows [B, D] of standardised features [B, F]. */
  embed(features: Tensor2D): Tensor2D {
    return this.#layers.reduce<Tensor>((input, layer) => {
      const own = layer.parameters.map(({ name }) => this.#get(nameInHead(layer.name, name))!);
      return layer.forward(this.tf, input, own);
    }, features) as Tensor2D;
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

  #get(name: string): Tensor | undefined {
    return this.parameters.find((parameter) => parameter.name === name)?.value;
  }
}
