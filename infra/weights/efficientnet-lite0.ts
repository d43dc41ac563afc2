import { LookalikeError } from '../../contracts/errors.ts';
import { BLOCKS, buildEfficientNetLite0 } from '../../lib/nn/efficientnet-lite0.ts';
import type { LayersModel, Tf } from '../../lib/nn/tf.ts';
import type { TorchTensor } from './torch-state-dict.ts';
import { readTorchStateDict } from './torch-state-dict.ts';

/** The classifier that stood on the features when the weights were learnt; the embedding has no use for it. */
const UNUSED = ['_fc.weight', '_fc.bias'];

/**
 * EfficientNet-Lite0 with ImageNet weights from a PyTorch state dict. Each tensor goes to exactly one weight of one layer
 * and has its shape; anything missing or left over is an error. Dispose of the model after use.
 * @throws LookalikeError `invalidInput`
 */
export function importEfficientNetLite0(tf: Tf, pthBytes: Uint8Array): LayersModel {
  const tensors = readTorchStateDict(pthBytes);
  const take = (name: string): TorchTensor => {
    const found = tensors.get(name);
    if (found === undefined) throw refused(`Expected a tensor "${name}", which is missing or was already used`);
    tensors.delete(name);
    return found;
  };
  const model = buildEfficientNetLite0(tf);
  for (const [layer, torch] of layerNames()) setWeights(tf, model, layer, torch, take);
  for (const name of UNUSED) take(name);
  if (tensors.size > 0) throw refused(`Expected no other tensors, got ${[...tensors.keys()].slice(0, 5).join(', ')}`);
  return model;
}

/** Our layer -> PyTorch module. Without expansion a block has no `_bn0`. */
function layerNames(): [string, string][] {
  const names: [string, string][] = [
    ['stem_conv', '_conv_stem'],
    ['stem_bn', '_bn0'],
    ['head_conv', '_conv_head'],
    ['head_bn', '_bn1'],
  ];
  BLOCKS.forEach((spec, i) => {
    if (spec.expand > 1) names.push([`block${i}_expand_conv`, `_blocks.${i}._expand_conv`]);
    if (spec.expand > 1) names.push([`block${i}_expand_bn`, `_blocks.${i}._bn0`]);
    names.push([`block${i}_depthwise_conv`, `_blocks.${i}._depthwise_conv`]);
    names.push([`block${i}_depthwise_bn`, `_blocks.${i}._bn1`]);
    names.push([`block${i}_project_conv`, `_blocks.${i}._project_conv`]);
    names.push([`block${i}_project_bn`, `_blocks.${i}._bn2`]);
  });
  return names;
}

function setWeights(
  tf: Tf,
  model: LayersModel,
  layer: string,
  torch: string,
  take: (name: string) => TorchTensor,
): void {
  const target = model.getLayer(layer);
  const values = layer.endsWith('_bn')
    ? // TensorFlow's order: gamma, beta, moving mean, moving variance.
      ['weight', 'bias', 'running_mean', 'running_var'].map((part) => toTensor(tf, take(`${torch}.${part}`)))
    : // PyTorch OIHW -> TensorFlow HWIO; depthwise [C, 1, H, W] -> [H, W, C, 1].
      [permuted(tf, toTensor(tf, take(`${torch}.weight`)), layer.includes('depthwise') ? [2, 3, 0, 1] : [2, 3, 1, 0])];
  const expected = target.getWeights().map((weight) => weight.shape.join('x'));
  const actual = values.map((value) => value.shape.join('x'));
  if (expected.join() !== actual.join()) {
    throw refused(`Expected ${torch} to have the shapes ${expected.join(', ')}, got ${actual.join(', ')}`);
  }
  target.setWeights(values);
  tf.dispose(values);
}

function toTensor(tf: Tf, { data, shape }: TorchTensor): ReturnType<Tf['tensor']> {
  return tf.tensor(data, shape, 'float32');
}

function permuted(tf: Tf, value: ReturnType<Tf['tensor']>, order: number[]): ReturnType<Tf['tensor']> {
  const result = tf.transpose(value, order);
  value.dispose();
  return result;
}

function refused(message: string): LookalikeError {
  return new LookalikeError('invalidInput', `The weights do not fit EfficientNet-Lite0. ${message}.`);
}
