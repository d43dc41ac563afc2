import type { FinetuneConfig } from '../../contracts/finetune.ts';
import { initialValues, parameterShapes } from '../train/head-model.ts';
import type { HeadShape } from '../train/head-model.ts';
import type { UnitValues } from './backbone-graph.ts';
import type { Stage } from './network.ts';
import { unitShapes } from './tail.ts';

/** One weight tensor in the flat vector of all that is learnt. */
export interface Parameter {
  name: string;
  shape: number[];
  offset: number;
  length: number;
  /** Its share of the peak learning rate: lower, the further from the output. */
  rate: number;
  /** Of a frozen network's weights: they are drawn back to where they started, not to zero. */
  isBackbone: boolean;
  /** Pulled back by weight decay. */
  decays: boolean;
  /** [channels]: how large a step of 1 is. Weights of a channel move in proportion to their size, biases as they are. */
  scale: Float32Array;
}

export interface Parameters {
  list: readonly Parameter[];
  length: number;
}

/** Lays out what is learnt: the units of the stages, then the head and what its loss keeps. */
export function layParameters(
  stages: readonly Stage[],
  start: UnitValues,
  head: HeadShape,
  { loss, learningRate, headLearningRate, layerDecay }: FinetuneConfig,
): Parameters {
  const list: Parameter[] = [];
  let offset = 0;
  const add = (parameter: Omit<Parameter, 'offset' | 'length'>): void => {
    const length = parameter.shape.reduce((product, side) => product * side, 1);
    list.push({ ...parameter, offset, length });
    offset += length;
  };
  stages.forEach(({ units }, s) => {
    const rate = layerDecay ** (stages.length - 1 - s);
    for (const { name, shape } of units.flatMap(unitShapes)) {
      const isKernel = name.endsWith('/kernel');
      const channels = start[name]!.length / (isKernel ? areaOf(name, start) : 1);
      const scale = isKernel ? sizeByChannel(start[name]!, channels) : new Float32Array(channels).fill(1);
      add({ name, shape, rate, isBackbone: true, decays: true, scale });
    }
  });
  for (const { name, shape } of parameterShapes(loss, head)) {
    const rate = headLearningRate / learningRate;
    const scale = Float32Array.of(1);
    add({ name: `head/${name}`, shape, rate, isBackbone: false, decays: name === 'kernel', scale });
  }
  return { list, length: offset };
}

/** Weights per output channel, known by the bias beside the kernel. */
function areaOf(kernel: string, start: UnitValues): number {
  return start[kernel]!.length / start[kernel.replace(/kernel$/, 'bias')]!.length;
}

/** Root mean square of each channel, the last axis. */
function sizeByChannel(kernel: Float32Array, channels: number): Float32Array {
  const squares = new Float64Array(channels);
  for (let i = 0; i < kernel.length; i++) squares[i % channels]! += kernel[i]! ** 2;
  return Float32Array.from(squares, (sum) => Math.sqrt((sum * channels) / kernel.length));
}

/** The vector before the first step: the backbone's weights as they are, a head drawn from the seed. */
export function startVector(
  { list, length }: Parameters,
  start: UnitValues,
  head: HeadShape,
  config: Pick<FinetuneConfig, 'seed' | 'loss'>,
): Float32Array {
  const vector = new Float32Array(length);
  const drawn = initialValues(config, head);
  for (const { name, offset } of list) vector.set(start[name] ?? drawn[name.slice('head/'.length)]!, offset);
  return vector;
}

/** Each parameter as a view of the vector. */
export function viewsOf({ list }: Parameters, vector: Float32Array): Record<string, Float32Array> {
  return Object.fromEntries(list.map(({ name, offset, length }) => [name, vector.subarray(offset, offset + length)]));
}
