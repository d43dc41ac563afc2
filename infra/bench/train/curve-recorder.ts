import type { StepReport } from '../../../lib/train/train-head.ts';
import type { LearningCurve } from './gang.ts';

/** Notes what a run has learnt when. Time counts from the end of its first step: what comes before is no learning. */
export class CurveRecorder {
  readonly curve: LearningCurve = { lossByStep: [], epochs: [] };
  #startedAt: number | undefined;

  step({ step, loss, recallByEpoch }: Pick<StepReport, 'step' | 'loss' | 'recallByEpoch'>): void {
    this.#startedAt ??= performance.now();
    this.curve.lossByStep.push(loss);
    this.#judged(step, recallByEpoch);
  }

  /** A lead validates the last epoch after its last step. */
  end(step: number, recallByEpoch: readonly number[]): void {
    this.#judged(step, recallByEpoch);
  }

  #judged(step: number, recallByEpoch: readonly number[]): void {
    const { epochs } = this.curve;
    const seconds = (performance.now() - (this.#startedAt ?? performance.now())) / 1000;
    for (const recall of recallByEpoch.slice(epochs.length)) epochs.push({ step, seconds, recall });
  }
}
