import type { TrainConfig } from '../../contracts/training.ts';
import { batchOf, stepsPerEpoch } from './batches.ts';
import type { Batch, Pool } from './batches.ts';
import { learningRateAt } from './schedule.ts';

/** Which pictures carry which label, and in how many views each is there: all that batches are drawn from. */
export interface LabelledViews {
  /** [numPictures], 0..numLabels-1; every label occurs. */
  labels: Int32Array;
  numLabels: number;
  views: number;
}

/** Which rows each step of a run learns from, and how fast: a pure function of (seed, step), the same in every process. */
export class BatchPlan {
  readonly stepsPerEpoch: number;
  readonly numSteps: number;
  /** Of every batch. */
  readonly numRows: number;
  readonly #config: TrainConfig;
  readonly #pool: Pool;

  constructor({ labels, numLabels, views }: LabelledViews, config: TrainConfig) {
    const byLabel: number[][] = Array.from({ length: numLabels }, () => []);
    labels.forEach((label, picture) => byLabel[label]!.push(picture));
    this.#config = config;
    this.#pool = { byLabel, numPictures: labels.length, views };
    this.stepsPerEpoch = stepsPerEpoch(this.#pool, config);
    this.numSteps = this.stepsPerEpoch * config.epochs;
    this.numRows = Math.min(config.labelsPerBatch, numLabels) * config.samplesPerLabel;
  }

  at(step: number): Batch {
    return batchOf(this.#pool, this.#config, step);
  }

  learningRateAt(step: number): number {
    return learningRateAt(step, {
      peak: this.#config.optimizer.learningRate,
      warmupSteps: this.#config.schedule.warmupEpochs * this.stepsPerEpoch,
      numSteps: this.numSteps,
    });
  }
}
