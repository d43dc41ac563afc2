import { LookalikeError } from '../../contracts/errors.ts';
import { sizeOf } from './layers/layer.ts';
import type { Model, ModelPart } from './model.ts';
import { layoutOf } from './model.ts';
import { peakHeld } from './schedule.ts';
import type { PipelineShape } from './schedule.ts';

const FLOAT_BYTES = 4;
/** A stage computes its forward pass twice (once more to go backward, instead of keeping all of it) and two products per layer back. */
const PASSES = 4;

/** One of the machines that the stages run on; all are alike. */
export interface Machine {
  flopsPerSecond: number;
  /** Of a link between two machines. */
  bytesPerSecond: number;
  /** What a stage may use beside the runtime itself. */
  memoryBytes: number;
}

export interface CutOptions {
  pipeline: PipelineShape;
  /** Of the largest micro-batch. */
  microBatchRows: number;
  /** Moments that the optimiser keeps per parameter: Adam 2, momentum and Adagrad 1. */
  numMoments: number;
  machine: Machine;
}

export interface StagePlan {
  part: ModelPart;
  layerNames: string[];
  parameterBytes: number;
  /** Estimated use at its peak. */
  memoryBytes: number;
  /** Estimate for one micro-batch, forward and backward. */
  computeSeconds: number;
  /** Of one micro-batch's activations to the next stage; 0 for the last. */
  sentBytes: number;
}

/** One entry per stage, first to last. */
export type Cut = StagePlan[];

/**
 * Cuts the chain into K stages so that the slowest of all stages and links is as fast as can be, and no stage needs more memory
 * than a machine has; of those, the one that sends least. Exact, by dynamic programming over the chain (Narayanan et al., PipeDream, arXiv 1806.03377, sec. 3.1,
 * without replicated stages).
 * @throws LookalikeError `invalidInput` with the best that could be done, when no cut fits
 */
export function cutByCost(model: Model, options: CutOptions): Cut {
  const { memoryBytes, bytesPerSecond } = options.machine;
  const slowness = (plan: StagePlan): number =>
    plan.memoryBytes > memoryBytes ? Infinity : Math.max(plan.computeSeconds, (2 * plan.sentBytes) / bytesPerSecond);
  const { total: slowest } = bestStarts(model, options, slowness, Math.max);
  if (slowest === Infinity) {
    const leanest = bestStarts(model, options, (plan) => plan.memoryBytes, Math.max);
    throw tooLarge(plansOf(model, leanest.starts, options), memoryBytes);
  }
  const sent = (plan: StagePlan): number => (slowness(plan) > slowest ? Infinity : plan.sentBytes);
  return plansOf(model, bestStarts(model, options, sent, (a, b) => a + b).starts, options);
}

/**
 * Cuts before the named layers (or the loss), in their order.
 * @throws LookalikeError `invalidInput` when a name is unknown or out of order, or a stage does not fit
 */
export function cutByHand(model: Model, firstLayers: readonly string[], options: CutOptions): Cut {
  const { numStages } = options.pipeline;
  if (firstLayers.length !== numStages - 1) throw misplaced(model, firstLayers, numStages);
  const cut = plansOf(model, startsAt(model, firstLayers), options);
  if (cut.some(({ memoryBytes }) => memoryBytes > options.machine.memoryBytes)) {
    throw tooLarge(cut, options.machine.memoryBytes);
  }
  return cut;
}

/** The stages that begin at the first layer and at the named ones. @throws LookalikeError `invalidInput` as {@link cutByHand} */
export function partsAt(model: Model, firstLayers: readonly string[]): ModelPart[] {
  const starts = startsAt(model, firstLayers);
  return starts.map((start, stage) => partOf(model, start, starts[stage + 1] ?? model.layers.length + 1));
}

function startsAt(model: Model, firstLayers: readonly string[]): number[] {
  const names = namesOf(model);
  const starts = [0, ...firstLayers.map((name) => names.indexOf(name))];
  if (starts.slice(1).some((start, i) => start <= starts[i]!)) {
    throw misplaced(model, firstLayers, firstLayers.length + 1);
  }
  return starts;
}

function misplaced(model: Model, firstLayers: readonly string[], numStages: number): LookalikeError {
  return new LookalikeError(
    'invalidInput',
    `Expected ${numStages - 1} layer(s) at which stages begin, in the order of ${namesOf(model).slice(1).join(', ')}; got ` +
      `${firstLayers.join(', ') || 'none'}.`,
  );
}

/** First layer of each stage, so that the stages' costs together, as `join` adds them up, are least. */
function bestStarts(
  model: Model,
  options: CutOptions,
  costOf: (plan: StagePlan) => number,
  join: (a: number, b: number) => number,
): { total: number; starts: number[] } {
  const { numStages } = options.pipeline;
  const numLinks = model.layers.length + 1;
  if (numStages < 1 || numStages > numLinks) {
    throw new LookalikeError(
      'invalidInput',
      `Expected 1 to ${numLinks} stages for the ${numLinks} layers of ${model.name}, got ${numStages}.`,
    );
  }
  /** `rows[k][end]`: links 0..end-1 in stages 0..k, and where the last of these begins. */
  let row = Array.from({ length: numLinks + 1 }, (_, end) => ({ total: end === 0 ? 0 : Infinity, start: 0 }));
  const rows: (typeof row)[] = [];
  for (let stage = 0; stage < numStages; stage++) {
    const before = row;
    row = before.map((_, end) => {
      let best = { total: Infinity, start: stage };
      // Stages after this one need a layer each.
      if (numLinks - end < numStages - 1 - stage || (stage === numStages - 1 && end < numLinks)) return best;
      for (let start = stage; start < end; start++) {
        const total = join(before[start]!.total, costOf(planOf(model, start, end, stage, options)));
        if (total < best.total) best = { total, start };
      }
      return best;
    });
    rows.push(row);
  }
  const starts: number[] = [];
  for (let stage = numStages - 1, end = numLinks; stage >= 0; stage--) {
    end = rows[stage]![end]!.start;
    starts.unshift(end);
  }
  return { total: row[numLinks]!.total, starts };
}

function plansOf(model: Model, starts: readonly number[], options: CutOptions): Cut {
  return starts.map((start, stage) =>
    planOf(model, start, starts[stage + 1] ?? model.layers.length + 1, stage, options),
  );
}

/** Links `start`..`end`-1 of layers and loss as stage number `stage`. */
function planOf(model: Model, start: number, end: number, stage: number, options: CutOptions): StagePlan {
  const { pipeline, microBatchRows, numMoments, machine } = options;
  const part = partOf(model, start, end);
  const links = [...part.layers, ...(part.loss === null ? [] : [part.loss])];
  const parameterBytes = layoutOf(part).length * FLOAT_BYTES;
  const rowBytes = (shape: readonly number[]): number => microBatchRows * sizeOf(shape) * FLOAT_BYTES;
  const flops = microBatchRows * links.reduce((sum, { flopsPerRow }) => sum + flopsPerRow, 0);
  // Every value within a stage, and the gradient of each, while one micro-batch goes backward.
  const working = 2 * part.layers.reduce((sum, { outputShape }) => sum + rowBytes(outputShape), 0);
  const held = peakHeld(pipeline, stage) * rowBytes(links[0]!.inputShape);
  // Values, the same as tensors, the sum of gradients, one micro-batch's gradients, and moments.
  const perParameter = 4 + numMoments;
  return {
    part,
    layerNames: links.map(({ name }) => name),
    parameterBytes,
    memoryBytes: perParameter * parameterBytes + working + held,
    // A stage that ends in the loss goes forward only once.
    computeSeconds: ((part.loss === null ? PASSES : PASSES - 1) * flops) / machine.flopsPerSecond,
    sentBytes: part.loss === null ? rowBytes(part.layers.at(-1)!.outputShape) : 0,
  };
}

function partOf({ layers, loss }: Model, start: number, end: number): ModelPart {
  return { layers: layers.slice(start, end), loss: end > layers.length ? loss : null };
}

function tooLarge(cut: Cut, memoryBytes: number): LookalikeError {
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const stage = cut.reduce((worst, each, i) => (each.memoryBytes > cut[worst]!.memoryBytes ? i : worst), 0);
  const { layerNames, memoryBytes: needed, parameterBytes } = cut[stage]!;
  return new LookalikeError(
    'invalidInput',
    `Expected each of ${cut.length} stages to fit into ${megabytes(memoryBytes)}; stage ${stage} (${layerNames.join(', ')}) needs ` +
      `${megabytes(needed)}, of which ${megabytes(parameterBytes)} are its parameters alone. Use more stages, smaller micro-batches, ` +
      'or split its layer over machines.',
    { stage, neededBytes: needed, memoryBytes },
  );
}

function namesOf({ layers, loss }: Model): string[] {
  return [...layers.map(({ name }) => name), loss.name];
}
