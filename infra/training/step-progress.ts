import type { TrainConfig, TrainProgress } from '../../contracts/training.ts';
import type { StepReport } from '../../lib/train/train-head.ts';
import type { StageData } from './load-stage-data.ts';

/**
 * Makes a frame of progress of each step that this process takes, called once for each.
 * @param share of each batch that it computes
 */
export function createProgressOf(
  { backend, data }: StageData,
  config: TrainConfig,
  share: number,
): (report: StepReport, checkpoint: string | null) => TrainProgress {
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
