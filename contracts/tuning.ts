import type { Json, JsonObject } from './json.ts';
import type { RetrainConfig } from './training.ts';
import type { TrainInput } from './workflows.ts';

/** One thing that is varied. `when` makes it a condition: it is drawn only if every named dimension has one of the values. */
export type Dimension = (
  | { kind: 'float'; low: number; high: number; scale: 'linear' | 'log'; step?: number }
  | { kind: 'int'; low: number; high: number; scale: 'linear' | 'log'; step?: number }
  /** Values as they would stand in a configuration: `{ "kind": "supCon", "temperature": 0.1 }` as well as `64`. */
  | { kind: 'choice'; values: Json[] }
) & { when?: Record<string, Json[]> };

/** What is varied, by its path in the configuration: `train.optimizer.learningRate`. */
export type SearchSpace = Record<string, Dimension>;

/** How the values of the next trial are chosen. */
export type SearchConfig =
  /** All combinations; a continuous dimension is cut into `points`, ends included. */
  | { kind: 'grid'; points: number }
  | { kind: 'random' }
  /** Tree-structured Parzen estimator (Bergstra et al. 2011, sec. 4), after `startup` random trials. */
  | { kind: 'tpe'; startup: number; candidates: number; gamma: number };

/** When a trial goes on, waits and ends. Budgets are epochs. */
export type SchedulerConfig =
  /** Every trial to the end. */
  | { kind: 'none' }
  /** Ends what is, after `grace` epochs and then every `every`, below the median of the others' best so far (Golovin et al. 2017, sec. 3.2.2). */
  | { kind: 'medianStop'; grace: number; every: number }
  /** Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934, algorithm 2): rungs of `minEpochs` x `eta`^i. */
  | { kind: 'asha'; minEpochs: number; eta: number }
  /** Brackets of successive halving (Li et al. 2018, arXiv 1603.06560, algorithm 1). */
  | { kind: 'hyperband'; eta: number }
  /** Population-based training (Jaderberg et al. 2017, arXiv 1711.09846): the worst copy the best and stray from them. */
  | { kind: 'pbt'; every: number; quantile: number };

export interface TuneConfig {
  /** What every trial starts from; the space changes it. `base.train.epochs` is the most that a trial is trained. */
  base: RetrainConfig;
  space: SearchSpace;
  search: SearchConfig;
  scheduler: SchedulerConfig;
  /** How many trials in all. */
  numTrials: number;
  /** At most this many at once; fewer where fewer trainers live. */
  concurrency: number;
  /** How often a trial that failed is tried again before it is marked and left. */
  retries: number;
  seed: number;
}

export type TrialStatus =
  /** Chosen, not started. */
  | 'waiting'
  | 'running'
  /** Reached its rung; goes on only if the scheduler promotes it. */
  | 'paused'
  /** Ended early by the scheduler. */
  | 'stopped'
  /** Trained to the end. */
  | 'done'
  | 'failed';

/** The objective (validation recall@1, higher is better) that a trial had after so many epochs: its best until then. */
export interface TrialReport {
  epoch: number;
  value: number;
}

export interface Trial {
  /** From 0, in the order in which they were chosen. */
  id: number;
  /** Path of the space -> value; dimensions whose condition does not hold are absent. */
  params: JsonObject;
  status: TrialStatus;
  /** The epoch to which it runs, or ran, now. */
  untilEpoch: number;
  reports: TrialReport[];
  /** hyperband: the bracket that it was chosen for. */
  bracket?: number;
  /** pbt: the trial whose state it took over last. */
  parent?: number;
  failures: number;
  /** Why it was stopped or has failed. */
  reason?: string;
  /** The checkpoint at which it was paused last. */
  checkpoint?: string;
  /** pbt: the checkpoint of `parent` that it went on from. */
  origin?: string;
  /** Of one that was trained to the end: its model, and the validation recall@1 of what the model keeps. */
  model?: string;
  recall?: number;
}

/** Everything that the next decision depends on; small, plain, carried over continue-as-new. */
export interface TuneState {
  trials: Trial[];
}

/** The one next thing to do. Equal state and configuration, equal decision. */
export type TuneDecision =
  /** A new trial: run it from nothing until `untilEpoch`. */
  | { kind: 'start'; trial: number; params: JsonObject; untilEpoch: number; bracket?: number }
  /** A paused trial goes on from its checkpoint. */
  | { kind: 'promote'; trial: number; untilEpoch: number }
  /** pbt: goes on from the checkpoint of `from`, with other values. */
  | { kind: 'exploit'; trial: number; from: number; params: JsonObject; untilEpoch: number }
  | { kind: 'stop'; trial: number; reason: string }
  /** Nothing until a running trial reports. */
  | { kind: 'wait' }
  /** All has been tried. */
  | { kind: 'finished' };

/** More would not fit the messages that carry a search's state. */
export const MAX_TRIALS = 500;
/** Reports that a trial keeps besides those at the end of each rung: enough for a curve. */
export const MAX_CURVE_POINTS = 32;

/** One distinct backbone and number of views that trials of a search use, and their artefacts. */
export interface PreparedFeatures {
  /** As the configuration says it. */
  name: string;
  views: number;
  backbone: string;
  features: string;
}

export interface TuneInput {
  catalogue: string;
  config: TuneConfig;
  /** Continue as new after so many rungs even if the server does not suggest it yet. */
  rungsPerRun?: number;
  /** Pause between the first two looks for trainers; it grows while nothing changes. Default: 15 s. */
  lookEveryMs?: number;
  /** Carried over continue-as-new; absent at the start. */
  cursor?: TuneCursor;
}

export interface TuneCursor {
  snapshot: string;
  prepared: PreparedFeatures[];
  state: TuneState;
}

/** The trial that a search recommends. */
export interface BestTrial {
  trial: number;
  params: JsonObject;
  /** Validation recall@1: the model's, or the best so far of one that was not trained to the end. */
  value: number;
  epochs: number;
  /** The whole configuration; retraining with it on the same catalogue finds the model. */
  config: RetrainConfig;
  /** Null when the search was cancelled before this trial was trained to the end: it goes on from its checkpoint. */
  model: string | null;
}

/** One line of the table of all trials. */
export type TrialRow = Pick<Trial, 'id' | 'params' | 'status' | 'failures' | 'reason' | 'model'> & {
  epochs: number;
  value: number | null;
};

export interface TuneOutput {
  /** `cancelled`: stopped on request; the best so far is kept. */
  outcome: 'finished' | 'cancelled';
  best: BestTrial;
  /** Artefact with all trials, curves and drawings. */
  tuning: string;
  snapshot: string;
  trials: TrialRow[];
}

/** What a search leaves as an artefact. */
export interface TuningRecord {
  catalogue: string;
  config: TuneConfig;
  snapshot: string;
  prepared: PreparedFeatures[];
  outcome: TuneOutput['outcome'];
  trials: Trial[];
  best: BestTrial;
}

/** Query of tune: the whole search at a glance. */
export const TUNE_STATE = 'tuneState';
export interface TuneView {
  catalogue: string;
  trials: Trial[];
  numTrials: number;
  /** The most that a trial is trained. */
  epochs: number;
  /** Trainers that were alive at the last look; null before the first. */
  trainers: number | null;
  /** How many trials may run at once now. */
  width: number;
  best: number | null;
  search: SearchConfig['kind'];
  scheduler: SchedulerConfig['kind'];
}

/** One rung of one trial: the same training as without a pause, as far as `untilEpoch`. */
export interface RungInput {
  train: TrainInput;
  untilEpoch: number;
  /** pbt: a checkpoint of another configuration that this one goes on from. */
  origin?: string;
}

export interface RungOutput {
  /** Of the epochs asked for, at most {@link MAX_CURVE_POINTS} spread evenly, the last one included. */
  reports: TrialReport[];
  /** The resume point of the next rung; null when the training is over. */
  checkpoint: string | null;
  /** Once the training is over. */
  model: string | null;
  recall: number | null;
  /** True when nothing had to be trained. */
  reused: boolean;
}

/** Input of `trial`: one rung as a workflow of its own. */
export interface TrialInput extends RungInput {
  trial: number;
  params: JsonObject;
}
