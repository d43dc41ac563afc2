import type { TrainConfig, TrainProgress } from '../../contracts/training.ts';
import type { BatchPlan } from '../../lib/train/batch-plan.ts';
import type { TrainingData } from '../../lib/train/head-program.ts';
import type { StepReport } from '../../lib/train/train-head.ts';

/**
 * Makes a frame of progress of each step that this process takes, called once for each.
 * @param share of each batch that it computes
 */
export function createProgressOf(
  { backend, data }: { backend: string; data: Pick<TrainingData, 'numLabels'> },
  config: TrainConfig,
  share: number,
): (report: Omit<StepReport, 'loss'> & { loss: number | null }, checkpoint: string | null) => TrainProgress {
  const startedAt = performance.now();
  const rows = Math.min(config.labelsPerBatch, data.numLabels) * config.samplesPerLabel * share;
  let numSteps = 0;
  return (report, checkpoint) => {
    numSteps++;
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      ...report,
      recallByEpoch: [...report.recallByEpoch],
      numEpochs: config.epochs,
      samplesPerSecond: Math.round((numSteps * rows) / seconds),
      backend,
      checkpoint,
    };
  };
}

/** Before the first step of this process. */
export function idleProgress(
  { epochs }: Pick<TrainConfig, 'epochs'>,
  { numSteps, stepsPerEpoch }: Pick<BatchPlan, 'numSteps' | 'stepsPerEpoch'>,
  backend: string,
  step = 0,
): TrainProgress {
  return {
    epoch: Math.floor(step / stepsPerEpoch),
    numEpochs: epochs,
    step,
    numSteps,
    loss: null,
    learningRate: 0,
    recallByEpoch: [],
    samplesPerSecond: 0,
    backend,
    checkpoint: null,
  };
}
