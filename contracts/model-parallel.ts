import type { ReplicaInput } from './data-parallel.ts';
import type { TrainProgress } from './training.ts';

/**
 * One process of a training whose model is cut: stages 0 .. K - 1 of the pipeline, then blocks 1 .. P - 1 of its classifier, numbered
 * on. Stage 0 leads: it validates, keeps checkpoints and publishes.
 */
export interface StagePartInput extends Omit<ReplicaInput, 'rank'> {
  index: number;
}

/** Heartbeat of such a process. The loss is known to the lead and to the last stage. */
export interface StagePartProgress extends TrainProgress {
  index: number;
  /** What it holds, in words. */
  holds: string;
  numParameters: number;
  /** Set while it waits for the other parts of its run. */
  waiting: string | null;
  /** Sent and received, per step of its own. */
  bytesPerStep: number;
  /** Share of its time spent waiting for other parts, 0..1. */
  waitShare: number;
}
