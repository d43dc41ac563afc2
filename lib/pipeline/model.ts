import type { Scalar, Tensor } from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Tf } from '../nn/tf.ts';
import type { ParameterLayout } from '../sync/protocol.ts';
import { randomOf } from '../train/random.ts';
import { sizeOf } from './layers/layer.ts';
import type { Layer, LayerBuilder, LossBuilder, LossLayer, ParameterSpec, RowShape } from './layers/layer.ts';

/** A chain of layers and the loss at its end: the one definition that every strategy trains. */
export interface Model {
  name: string;
  inputShape: RowShape;
  layers: readonly Layer[];
  loss: LossLayer;
}

/** Contiguous layers of a model, and its loss if they are the last: what one machine holds. */
export interface ModelPart {
  layers: readonly Layer[];
  loss: LossLayer | null;
}

/** Builds each layer upon the shape that the one before puts out. @throws LookalikeError `invalidInput` | `dimensionMismatch` */
export function sequential(
  name: string,
  inputShape: RowShape,
  builders: readonly LayerBuilder[],
  lossBuilder: LossBuilder,
): Model {
  const layers: Layer[] = [];
  for (const build of builders) layers.push(build(layers.at(-1)?.outputShape ?? inputShape));
  const loss = lossBuilder(layers.at(-1)?.outputShape ?? inputShape);
  const names = [...layers, loss].map((layer) => layer.name);
  const twice = names.find((each, i) => names.indexOf(each) !== i);
  if (twice !== undefined) {
    throw new LookalikeError('invalidInput', `Expected layers of distinct names, got ${twice} twice.`);
  }
  return { name, inputShape, layers, loss };
}

/** The part's parameters end to end, in the order of its layers; names are `layer/parameter`. */
export function layoutOf(part: ModelPart): ParameterLayout {
  let length = 0;
  const entries = specsOf(part).map(({ layer, spec }) => {
    const size = sizeOf(spec.shape);
    length += size;
    return { name: `${layer}/${spec.name}`, offset: length - size, length: size, decays: spec.decays };
  });
  return { entries, length };
}

/** Values to start from, laid out as {@link layoutOf}; the same for a layer in whatever part it lies. */
export function initialValues(part: ModelPart, seed: number): Float32Array {
  const values = new Float32Array(layoutOf(part).length);
  let at = 0;
  for (const { layer, spec } of specsOf(part)) {
    values.set(spec.initial(randomOf(seed, 'initial', layer, spec.name)), at);
    at += sizeOf(spec.shape);
  }
  return values;
}

/**
 * The flat vector as one tensor per parameter, in layout order; the caller disposes them before it changes the vector, since some
 * backends keep a view of it.
 */
export function toTensors(tf: Tf, part: ModelPart, values: Float32Array): Tensor[] {
  let at = 0;
  return specsOf(part).map(({ spec }) =>
    tf.tensor(values.subarray(at, (at += sizeOf(spec.shape))), [...spec.shape], 'float32'),
  );
}

/** All layers of a part (not its loss) on [B, ...]. */
export function forwardOf(tf: Tf, part: ModelPart, input: Tensor, parameters: readonly Tensor[]): Tensor {
  let [output, at] = [input, 0];
  for (const layer of part.layers) {
    output = layer.forward(tf, output, parameters.slice(at, at + layer.parameters.length));
    at += layer.parameters.length;
  }
  return output;
}

/** A part that ends in the loss: layers and loss on [B, ...]. */
export function lossOf(
  tf: Tf,
  part: ModelPart & { loss: LossLayer },
  input: Tensor,
  labels: Int32Array,
  parameters: readonly Tensor[],
  step: number,
): Scalar {
  const output = forwardOf(tf, part, input, parameters);
  const own = parameters.slice(parameters.length - part.loss.parameters.length);
  return part.loss.loss(tf, output, labels, own, step);
}

/** Loss and gradient of the whole model on one machine: what every way of splitting it must equal. */
export function wholeGradient(
  tf: Tf,
  model: Model,
  values: Float32Array,
  batch: { inputs: Float32Array; labels: Int32Array; step?: number },
): { loss: number; gradient: Float32Array } {
  const gradient = new Float32Array(values.length);
  const loss = tf.tidy(() => {
    const input = tf.tensor(batch.inputs, [batch.labels.length, ...model.inputShape], 'float32');
    const { value, grads } = tf.valueAndGrads((...parameters: Tensor[]) =>
      lossOf(tf, model, input, batch.labels, parameters, batch.step ?? 0),
    )(toTensors(tf, model, values));
    addTensors(gradient, grads);
    return value.dataSync()[0]!;
  });
  return { loss, gradient };
}

/** Adds tensors laid end to end to the flat vector, in place. */
export function addTensors(sum: Float32Array, tensors: readonly Tensor[]): void {
  let at = 0;
  for (const tensor of tensors) {
    const values = tensor.dataSync<'float32'>();
    for (let i = 0; i < values.length; i++) sum[at + i]! += values[i]!;
    at += values.length;
  }
}

function specsOf({ layers, loss }: ModelPart): { layer: string; spec: ParameterSpec }[] {
  return [...layers, ...(loss === null ? [] : [loss])].flatMap(({ name, parameters }) =>
    parameters.map((spec) => ({ layer: name, spec })),
  );
}
