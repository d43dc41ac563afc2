import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainConfig } from '../../contracts/training.ts';
import type { Tf } from '../nn/tf.ts';
import { HeadProgram } from './head-program.ts';
import type { TrainedHead, TrainingData } from './head-program.ts';
import { HeadState } from './head-state.ts';
import { EpochRecord } from './train-state.ts';
import type { TrainState } from './train-state.ts';

export interface StepReport {
  epoch: number;
  /** Steps done. */
  step: number;
  numSteps: number;
  loss: number;
  learningRate: number;
  recallByEpoch: readonly number[];
}

export interface TrainHooks {
  signal?: AbortSignal;
  /** Awaited after each step: the place to let other work of the process in. */
  onStep?: (report: StepReport) => Promise<void> | void;
  /** Awaited every `checkpointEverySteps` steps: durable when it returns. */
  onCheckpoint?: (state: TrainState) => Promise<void>;
}

/**
 * Trains a projection on cached features in this process. With `patience` the best epoch by validation recall@1 is kept, without
 * it the last. A run resumed from any of its checkpoints ends in the same bytes as an uninterrupted one on the same backend.
 * @throws LookalikeError `cancelled` | `nonFinite` before the update that would have spoilt the head
 */
export async function trainHead(
  tf: Tf,
  data: TrainingData,
  config: TrainConfig,
  from?: TrainState,
  hooks: TrainHooks = {},
): Promise<TrainedHead> {
  // Only the last step or the patience's end is left to stop at.
  return (await trainHeadUntil(tf, data, config, config.epochs, from, hooks))!;
}

/**
 * The same run as `trainHead`, schedule and all, but it pauses after `untilEpoch` epochs with a checkpoint from which it goes on.
 * @returns null when it is paused
 */
export async function trainHeadUntil(
  tf: Tf,
  data: TrainingData,
  config: TrainConfig,
  untilEpoch: number,
  from?: TrainState,
  { signal, onStep, onCheckpoint }: TrainHooks = {},
): Promise<TrainedHead | null> {
  const program = new HeadProgram(tf, data, config);
  const { numSteps, stepsPerEpoch } = program;
  const pauseAt = Math.min(numSteps, untilEpoch * stepsPerEpoch);
  const first = from ?? program.start();
  const head = new HeadState(tf, config, program.shape, first);
  const epochs = new EpochRecord(config, program.canJudge, from);
  try {
    if (first !== from) epochs.start(program.recall(head), () => head.readValues());
    for (let step = from?.step ?? 0; step < pauseAt; step++) {
      if (signal?.aborted)
        throw new LookalikeError('cancelled', `Training was cancelled at step ${step} of ${numSteps}.`);
      if (step % stepsPerEpoch === 0 && epochs.isExhausted) break;
      const learningRate = program.learningRateAt(step);

      const { loss, gradients } = program.gradients(head, step);
      head.update(gradients, learningRate, step);
      tf.dispose(gradients);

      const done = step + 1;
      if (done % stepsPerEpoch === 0) epochs.add(program.recall(head), () => head.readValues());
      const { recallByEpoch, best } = epochs;
      if ((done % config.checkpointEverySteps === 0 || done === pauseAt) && done < numSteps) {
        await onCheckpoint?.({ step: done, recallByEpoch: [...recallByEpoch], best, ...head.read() });
      }
      const epoch = Math.floor(step / stepsPerEpoch);
      await onStep?.({ epoch, step: done, numSteps, loss, learningRate, recallByEpoch });
    }
  } finally {
    head.dispose();
  }
  return pauseAt < numSteps && !epochs.isExhausted ? null : program.finish(epochs);
}
