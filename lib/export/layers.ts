import type * as tfjs from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import type { BatchNorm, Kernel } from './fold.ts';
import { batchNormScale, depthwiseKernel, foldBatchNorm, kernelFromHwio } from './fold.ts';
import type { GraphBuilder } from './graph-builder.ts';

/** A tfjs layer as the exporter sees it. */
export type Layer = tfjs.layers.Layer;

export interface LayerContext {
  graph: GraphBuilder;
  /** ONNX value names of the layer's inputs. */
  inputs: string[];
  /** The only layer that reads this one's output, when there is exactly one. */
  onlyConsumer: Layer | undefined;
  /** Marks a layer as already contained in this one: its output is this one's. */
  absorb(layer: Layer): void;
}

/** Config of a tfjs layer: untyped there, so each reader below names what it expects. */
type Config = Record<string, unknown>;

/** Layer class -> ONNX nodes; returns the name of the output value. */
const TRANSLATORS: Record<string, (layer: Layer, context: LayerContext) => string> = {
  Conv2D: (layer, context) => convolution(layer, kernelFromHwio(weights(layer)[0]!), context),
  DepthwiseConv2D: (layer, context) => convolution(layer, depthwiseKernel(weights(layer)[0]!), context),
  BatchNormalization: batchNormalization,
  ReLU: relu,
  Activation: (layer, { graph, inputs }) => activation(layer, graph, inputs[0]!, layer.name),
  Add: (layer, { graph, inputs }) =>
    inputs.slice(1).reduce((sum, input, i) => graph.add('Add', suffixed(layer.name, i), [sum, input]), inputs[0]!),
  GlobalAveragePooling2D: (layer, { graph, inputs }) =>
    graph.add('Flatten', layer.name, [graph.add('GlobalAveragePool', `${layer.name}/pool`, inputs)], { axis: 1 }),
  // Dropout only acts in training.
  Dropout: (_layer, { inputs }) => inputs[0]!,
  Dense: dense,
  L2Normalise: (layer, { graph, inputs }) => graph.add('LpNormalization', layer.name, inputs, { axis: 1, p: 2 }),
};

/** @throws LookalikeError `invalidInput` naming a layer that has no translation */
export function translateLayer(layer: Layer, context: LayerContext): string {
  const translate = TRANSLATORS[layer.getClassName()];
  if (translate === undefined) {
    throw unsupported(layer, `one of ${Object.keys(TRANSLATORS).join(', ')}`, layer.getClassName());
  }
  return translate(layer, context);
}

function convolution(layer: Layer, kernel: Kernel, context: LayerContext): string {
  const { graph, inputs } = context;
  const config = layer.getConfig() as Config;
  expectChannelsLast(layer, config.dataFormat);
  const strides = config.strides as number[];
  const dilations = pair((config.dilationRate as number | number[] | undefined) ?? 1);
  let bias = config.useBias === true ? weights(layer)[1]!.data : undefined;
  // A batch norm right after a linear convolution is part of its weights.
  const next = context.onlyConsumer;
  if (isLinear(config) && next?.getClassName() === 'BatchNormalization') {
    ({ kernel, bias } = foldBatchNorm(kernel, bias, batchNorm(next)));
    context.absorb(next);
  }
  const [, height, width] = inputShape(layer);
  const [kernelHeight, kernelWidth] = [kernel.dims[2]!, kernel.dims[3]!];
  const rows = padding(config.padding, height!, kernelHeight, strides[0]!, dilations[0]!);
  const columns = padding(config.padding, width!, kernelWidth, strides[1]!, dilations[1]!);
  const names = [...inputs, graph.weight(`${layer.name}/kernel`, kernel.dims, kernel.data)];
  if (bias !== undefined) names.push(graph.weight(`${layer.name}/bias`, [bias.length], bias));
  const linear = isLinear(config);
  const output = graph.add('Conv', linear ? layer.name : `${layer.name}/linear`, names, {
    dilations,
    group: kernel.groups,
    kernel_shape: [kernelHeight, kernelWidth],
    pads: [rows[0], columns[0], rows[1], columns[1]],
    strides,
  });
  return linear ? output : activation(layer, graph, output, layer.name);
}

function batchNormalization(layer: Layer, { graph, inputs }: LayerContext): string {
  const { scale, shift } = batchNormScale(batchNorm(layer));
  const side = inputRank(layer) === 4 ? [1, scale.length, 1, 1] : [1, scale.length];
  const scaled = graph.add('Mul', `${layer.name}/scaled`, [
    inputs[0]!,
    graph.weight(`${layer.name}/scale`, side, scale),
  ]);
  return graph.add('Add', layer.name, [scaled, graph.weight(`${layer.name}/shift`, side, shift)]);
}

function relu(layer: Layer, { graph, inputs }: LayerContext): string {
  const { maxValue } = layer.getConfig() as Config;
  return maxValue === undefined || maxValue === null
    ? graph.add('Relu', layer.name, inputs)
    : clip(graph, layer.name, inputs[0]!, maxValue as number);
}

function dense(layer: Layer, { graph, inputs }: LayerContext): string {
  if (inputRank(layer) !== 2)
    throw unsupported(layer, 'Dense on [N, features]', `an input of rank ${inputRank(layer)}`);
  const config = layer.getConfig() as Config;
  const [kernel, bias] = weights(layer);
  const names = [...inputs, graph.weight(`${layer.name}/kernel`, kernel!.shape, kernel!.data)];
  if (bias !== undefined) names.push(graph.weight(`${layer.name}/bias`, bias.shape, bias.data));
  const linear = isLinear(config);
  const output = graph.add('Gemm', linear ? layer.name : `${layer.name}/linear`, names);
  return linear ? output : activation(layer, graph, output, layer.name);
}

const SIMPLE_ACTIVATIONS: Record<string, string> = { relu: 'Relu', sigmoid: 'Sigmoid', tanh: 'Tanh' };

function activation(layer: Layer, graph: GraphBuilder, input: string, name: string): string {
  const kind = (layer.getConfig() as Config).activation as string;
  if (kind === 'linear') return input;
  if (kind === 'relu6') return clip(graph, name, input, 6);
  const opType = SIMPLE_ACTIVATIONS[kind];
  if (opType === undefined) throw unsupported(layer, 'linear, relu, relu6, sigmoid or tanh', `activation ${kind}`);
  return graph.add(opType, name, [input]);
}

function clip(graph: GraphBuilder, name: string, input: string, max: number): string {
  const low = graph.weight(`${name}/min`, [], Float32Array.of(0));
  return graph.add('Clip', name, [input, low, graph.weight(`${name}/max`, [], Float32Array.of(max))]);
}

/** TensorFlow's `same` depends on the input's size: the odd pixel of padding goes to the end. */
function padding(kind: unknown, size: number, kernel: number, stride: number, dilation: number): [number, number] {
  if (kind !== 'same') return [0, 0];
  const total = Math.max((Math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

function batchNorm(layer: Layer): BatchNorm {
  const config = layer.getConfig() as Config;
  const rank = inputRank(layer);
  if (config.axis !== -1 && config.axis !== rank - 1)
    throw unsupported(layer, 'the last axis', `axis ${String(config.axis)}`);
  const values = weights(layer).map(({ data }) => data);
  const gamma = config.scale === false ? undefined : values.shift();
  const beta = config.center === false ? undefined : values.shift();
  return { gamma, beta, mean: values[0]!, variance: values[1]!, epsilon: config.epsilon as number };
}

/** Current weights, in the layer's order. */
function weights(layer: Layer): { shape: number[]; data: Float32Array }[] {
  return layer.getWeights().map((weight) => ({ shape: weight.shape, data: weight.dataSync<'float32'>() }));
}

function expectChannelsLast(layer: Layer, dataFormat: unknown): void {
  if (dataFormat !== 'channelsLast') throw unsupported(layer, 'channelsLast data', String(dataFormat));
}

function isLinear(config: Config): boolean {
  return config.activation === 'linear';
}

function inputShape(layer: Layer): (number | null)[] {
  return layer.inboundNodes[0]!.inputShapes[0] as (number | null)[];
}

function inputRank(layer: Layer): number {
  return inputShape(layer).length;
}

function pair(value: number | number[]): number[] {
  return typeof value === 'number' ? [value, value] : value;
}

function suffixed(name: string, i: number): string {
  return i === 0 ? name : `${name}/${i}`;
}

function unsupported(layer: Layer, expected: string, actual: string): LookalikeError {
  return new LookalikeError(
    'invalidInput',
    `Layer "${layer.name}" cannot be exported to ONNX: expected ${expected}, got ${actual}.`,
  );
}
