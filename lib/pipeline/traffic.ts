import type { Cut } from './cut.ts';
import { sizeOf } from './layers/layer.ts';
import { layoutOf } from './model.ts';
import type { Model } from './model.ts';

const FLOAT_BYTES = 4;

/** What all machines together send in one step: the numbers themselves, without frames' headers. */
export interface StepTraffic {
  bytes: number;
  messages: number;
}

/** Each worker pushes a gradient and pulls the parameters; or all of them reduce in a ring, in 2 (n - 1) rounds of 1/n each. */
export type Exchange = { kind: 'parameterServer'; shards: number } | { kind: 'allReduce' };

/** Data parallel over n workers; does not depend on the batch. */
export function dataParallelTraffic(model: Model, numWorkers: number, exchange: Exchange): StepTraffic {
  const parameterBytes = layoutOf(model).length * FLOAT_BYTES;
  if (exchange.kind === 'parameterServer') {
    return { bytes: 2 * numWorkers * parameterBytes, messages: 2 * numWorkers * exchange.shards };
  }
  return { bytes: 2 * (numWorkers - 1) * parameterBytes, messages: 2 * (numWorkers - 1) * numWorkers };
}

/** Activations forward, and as many gradients back, over each cut. */
export function pipelineTraffic(cut: Cut, batch: { numRows: number; numMicroBatches: number }): StepTraffic {
  return {
    bytes: batch.numRows * rowBytes(cut),
    messages: 2 * (cut.length - 1) * batch.numMicroBatches,
  };
}

/** Between the root of a split classifier and its other machines; does not depend on the number of labels. */
export function splitClassifierTraffic(
  { dim, numMachines }: { dim: number; numMachines: number },
  batch: { numRows: number; numMicroBatches: number },
): StepTraffic {
  return {
    bytes: (numMachines - 1) * batch.numRows * (2 * dim + 4) * FLOAT_BYTES,
    messages: 4 * (numMachines - 1) * batch.numMicroBatches,
  };
}

/** Rows of the global batch at which both move the same number of bytes: with fewer, the pipeline moves less. */
export function crossoverRows(model: Model, cut: Cut, numWorkers: number, exchange: Exchange): number {
  return dataParallelTraffic(model, numWorkers, exchange).bytes / rowBytes(cut);
}

/** Over all cuts, there and back, for one row. */
function rowBytes(cut: Cut): number {
  return cut.slice(0, -1).reduce((sum, { part }) => sum + 2 * sizeOf(part.layers.at(-1)!.outputShape) * FLOAT_BYTES, 0);
}
