import { LookalikeError } from '../../contracts/errors.ts';
import type { ModelParallelConfig, TrainConfig } from '../../contracts/training.ts';
import { blocksOf } from '../pipeline/classifier-block.ts';
import type { ClassifierBlock } from '../pipeline/classifier-block.ts';
import { cutByCost, cutByHand, partsAt } from '../pipeline/cut.ts';
import type { CutOptions } from '../pipeline/cut.ts';
import { sizeOf } from '../pipeline/layers/layer.ts';
import type { RowShape } from '../pipeline/layers/layer.ts';
import type { Model, ModelPart } from '../pipeline/model.ts';
import { momentsPerParameter } from '../pipeline/part-state.ts';
import type { PipelineShape } from '../pipeline/schedule.ts';
import { headChain, nameInHead } from './head-layers.ts';
import type { HeadShape } from './head-layers.ts';

/** Values `start`..`end`-1 of one of the head's parameters. */
export interface Segment {
  name: string;
  start: number;
  end: number;
}

/** One process of the run: a stage of the pipeline or, after all stages, another block of its classifier. */
export interface PartPlan {
  index: number;
  /** For people. */
  about: string;
  /** Layers, and the loss where it is not split. Null of what holds a block. */
  layers: (ModelPart & { inputShape: RowShape }) | null;
  block: ClassifierBlock | null;
  /** What it holds, in the order of its flat vector. */
  segments: readonly Segment[];
}

/** Stages 0..K-1, then blocks 1..P-1 of the classifier, of which the last stage holds block 0. The first stage leads. */
export interface ModelParallelPlan {
  pipeline: PipelineShape;
  parts: readonly PartPlan[];
}

/** A machine of which only the proportions matter: half an operation per byte and nanosecond, over a link of 1 Gbit/s. */
const MACHINE = { flopsPerSecond: 4e9, bytesPerSecond: 125e6 };

/**
 * How a head is cut, the same in every process.
 * @param numRows of each batch
 * @throws LookalikeError `invalidInput` when it cannot be cut so, or a part needs more than `maxBytesPerStage`
 */
export function modelParallelPlanOf(config: TrainConfig, shape: HeadShape, numRows: number): ModelParallelPlan {
  const { modelParallel, optimizer } = config;
  if (modelParallel === undefined) {
    throw new LookalikeError(
      'invalidInput',
      'Expected train.modelParallel for the strategy `modelParallel`, got none. Say how many stages there are.',
    );
  }
  const { stages, microBatches, schedule, maxBytesPerStage } = modelParallel;
  const numMicroBatches = Math.min(microBatches, numRows);
  const pipeline: PipelineShape = {
    schedule: schedule === '1f1b' ? 'oneForwardOneBackward' : 'gpipe',
    numStages: stages,
    numMicroBatches,
  };
  const chain = headChain(config, shape, numRows);
  const blocks = blocksOfHead(config, modelParallel, shape);
  const starts = startsOf(chain, modelParallel, blocks, {
    pipeline,
    microBatchRows: Math.ceil(numRows / numMicroBatches),
    numMoments: momentsPerParameter(optimizer.kind),
    machine: { ...MACHINE, memoryBytes: maxBytesPerStage ?? Infinity },
  });
  const pipelined = partsAt(chain, starts).map((part): Omit<PartPlan, 'index'> => {
    const { layers, loss } = part;
    const links = [...layers, ...(loss === null ? [] : [loss])];
    if (loss !== null && blocks[0] !== undefined) return blockPart(blocks[0]);
    const segments = links.flatMap(({ name, parameters }) =>
      parameters.map((spec) => ({ name: nameInHead(name, spec.name), start: 0, end: sizeOf(spec.shape) })),
    );
    const names = [...layers.map(({ name }) => name), ...(loss === null ? [] : ['loss'])];
    const about = names.join(', ');
    return { about, layers: { ...part, inputShape: links[0]!.inputShape }, block: null, segments };
  });
  const parts = [...pipelined, ...blocks.slice(1).map(blockPart)].map((part, index) => ({ index, ...part }));
  return { pipeline, parts };
}

/** A connection between two parts; the host, whose index is lower, listens. */
export interface LinkPlan {
  name: string;
  host: number;
  client: number;
}

/** From the lead to every other part; along the pipeline; and from the last stage to the other blocks of its classifier. */
export function linksOf({ pipeline: { numStages }, parts }: ModelParallelPlan): LinkPlan[] {
  const others = parts.slice(1).map(({ index }) => index);
  return [
    ...others.map((client) => ({ name: leadLink(client), host: 0, client })),
    ...others
      .filter((client) => client < numStages)
      .map((client) => ({ name: stageLink(client), host: client - 1, client })),
    ...others
      .filter((client) => client >= numStages)
      .map((client) => ({ name: blockLink(client), host: numStages - 1, client })),
  ];
}

export const leadLink = (client: number): string => `lead-${client}`;
export const stageLink = (client: number): string => `stage-${client}`;
export const blockLink = (client: number): string => `block-${client}`;

function blocksOfHead(
  { loss }: TrainConfig,
  { classifierParts }: ModelParallelConfig,
  { dim, numLabels }: HeadShape,
): ClassifierBlock[] {
  if (classifierParts === 1) return [];
  if (loss.kind !== 'proxySoftmax') {
    throw new LookalikeError(
      'invalidInput',
      `Expected the loss proxySoftmax, whose labels can be divided over ${classifierParts} processes, got ${loss.kind}.`,
    );
  }
  const { scale, margin } = loss;
  return blocksOf({ dim, numLabels, scale, margin }, classifierParts);
}

function blockPart(block: ClassifierBlock): Omit<PartPlan, 'index'> {
  const { classifier, start, end } = block;
  const { dim } = classifier;
  return {
    about: `labels ${start} to ${end - 1}`,
    layers: null,
    block,
    segments: [{ name: 'proxies', start: start * dim, end: end * dim }],
  };
}

/** Names of the layers at which stages begin, but for the first. */
function startsOf(
  chain: Model,
  { stages, cut }: ModelParallelConfig,
  blocks: readonly ClassifierBlock[],
  options: CutOptions,
): string[] {
  const names = [...chain.layers, chain.loss].map(({ name }) => name);
  const [block] = blocks;
  const whole = block === undefined ? chain : withLossOf(chain, block.end - block.start);
  const starts =
    cut === 'auto' ? byCost(whole, block !== undefined, stages, options) : cut.map((at) => names[at] ?? `layer ${at}`);
  if (block !== undefined && starts.at(-1) !== chain.loss.name) {
    throw new LookalikeError(
      'invalidInput',
      `Expected the last stage to begin at the loss (layer ${names.length - 1}), as a divided classifier has a stage of its own, got ` +
        `${JSON.stringify(cut)}.`,
    );
  }
  // Also what was cut by cost is looked at once more, as a whole.
  cutByHand(whole, starts, options);
  return starts;
}

function byCost(chain: Model, isSplit: boolean, stages: number, options: CutOptions): string[] {
  const firsts = (model: Model, numStages: number): string[] =>
    cutByCost(model, { ...options, pipeline: { ...options.pipeline, numStages } })
      .slice(1)
      .map(({ layerNames }) => layerNames[0]!);
  if (!isSplit) return firsts(chain, stages);
  // The loss has a stage of its own; where a cut falls among the layers before does not depend on it.
  return [...firsts(withLossOf(chain, 0), stages - 1), chain.loss.name];
}

/** The chain as if its loss had so many labels. */
function withLossOf({ loss, ...chain }: Model, numLabels: number): Model {
  const [dim] = loss.inputShape as [number];
  const parameters = loss.parameters.map((spec) => ({ ...spec, shape: [numLabels, dim] }));
  return { ...chain, loss: { ...loss, parameters, flopsPerRow: 2 * dim * numLabels } };
}
