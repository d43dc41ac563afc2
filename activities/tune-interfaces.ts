import type { JsonObject } from '../contracts/json.ts';
import type { RetrainConfig } from '../contracts/training.ts';
import type { RungInput, RungOutput, TuningRecord } from '../contracts/tuning.ts';
import type { Made } from './interfaces.ts';

/** Orchestrator queue: what a search asks between trainings. */
export interface TuneRecordActivities {
  /** The configuration of a trial. @throws `invalidInput` when the values contradict each other */
  resolveTrial(input: { base: RetrainConfig; params: JsonObject }): Promise<RetrainConfig>;
  countTrainers(): Promise<{ trainers: number }>;
}

/** Train queue. */
export interface TrialActivities {
  trainTrial(input: RungInput): Promise<RungOutput>;
}

/** Build queue. */
export interface TuneActivities {
  publishTuning(input: TuningRecord): Promise<Made>;
}
