import type { SchedulerConfig, Trial, TuneConfig, TuneDecision } from '../../../contracts/tuning.ts';

/** What a scheduler would do next; `null`: nothing until a running trial reports. */
export type SchedulerStep =
  | Extract<TuneDecision, { kind: 'promote' | 'exploit' | 'stop' }>
  /** A new trial. */
  | { kind: 'grow'; untilEpoch: number; bracket?: number }
  | null;

export interface SchedulerView<Kind extends SchedulerConfig['kind']> {
  scheduler: Extract<SchedulerConfig, { kind: Kind }>;
  config: TuneConfig;
  trials: readonly Trial[];
  /** How many trials there will be in all. */
  numTrials: number;
}

/** A pure function: when trials go on and end. Without regard to how many may run at once. */
export type Scheduler<Kind extends SchedulerConfig['kind']> = (view: SchedulerView<Kind>) => SchedulerStep;
