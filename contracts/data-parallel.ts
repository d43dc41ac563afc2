import type { TrainProgress } from './training.ts';
import type { TrainInput, TrainOutput } from './workflows.ts';

/**
 * One of the models that a training makes. Where items had to be withheld to judge by, the judged model is followed by one that
 * learns from all of them with the same settings, for as many epochs as did best.
 */
export type TrainingStage =
  { kind: 'judged' } | { kind: 'all'; judged: string; epochs: number; validationRecallAt1: number };

/** What every training starts with. */
export const FIRST_STAGE: TrainingStage = { kind: 'judged' };

/** One stage of a training on many processes: replicas 0 .. G - 1 and parameter shards 0 .. S - 1 that share `run`. */
interface RunOf {
  /** Names this stage of this training, and nothing else ever: processes with the same name find and trust each other. */
  run: string;
  stage: TrainingStage;
  train: TrainInput;
}

export interface ReplicaInput extends RunOf {
  /** The slice that it computes; 0 leads: seeds, validates, keeps checkpoints and publishes. */
  rank: number;
}

/** What a stage ends in. */
export interface StageOutput {
  output: TrainOutput;
  /** The stage that follows; null when `output` is what was asked for. */
  next: TrainingStage | null;
}

export interface ParameterShardInput extends RunOf {
  shard: number;
}

/** Heartbeat of a replica. `loss` and `samplesPerSecond` are those of its own slices. */
export interface ReplicaProgress extends TrainProgress {
  rank: number;
  /** Set while it waits for something else than the next parameters: for shards to be seeded, or to answer again. */
  waiting: string | null;
  /** `staleness[s]`: pushes of all replicas, applied by shard 0, that were s steps old; the last bin collects the rest. */
  staleness: number[];
  /** Late slices of steps that were applied without them. */
  numDropped: number;
  /** Sent and received by this replica, per step of its own. */
  bytesPerStep: number;
  /** Share of its time spent waiting for answers of the shards, 0..1. */
  waitShare: number;
}

/** Heartbeat of a parameter shard. */
export interface ParameterShardProgress {
  shard: number;
  numShards: number;
  /** Values that it holds. */
  numParameters: number;
  /** How often it was given a state to start from; 0 until the first. */
  incarnation: number;
  step: number;
  numPushes: number;
  numDropped: number;
  staleness: number[];
}

/** The kinds of process that a stage consists of, and how Temporal names each one's activity. */
export type PartRole = 'replica' | 'parameters' | 'stage';
export const partId = (role: PartRole, index: number): string => `${role}-${index}`;

/** Which part an activity id names; undefined for other activities. */
export function partOf(activityId: string): { role: PartRole; index: number } | undefined {
  const [, role, index] = /^(replica|parameters|stage)-(\d+)$/.exec(activityId) ?? [];
  return role === undefined ? undefined : { role: role as PartRole, index: Number(index) };
}

/** Signal of train: a part has started on a host on which it was not before. */
export const PART_PLACED = 'partPlaced';
export interface PlacedPart {
  run: string;
  role: PartRole;
  index: number;
  host: string;
}

/** One part of a stage as Temporal last heard of it. What is not known yet is null. */
export interface TrainingPart {
  role: PartRole;
  index: number;
  host: string | null;
  /** 1 until it is lost for the first time. */
  attempt: number;
  /** Of a stage: its part of the model, in words. */
  holds: string | null;
  step: number | null;
  /** Of a replica: that of its own slice. Of a stage: of the whole batch, where it is known. */
  loss: number | null;
  /** Of what computes. */
  bytesPerStep: number | null;
  /** `staleness[s]`: applied pushes that were s steps old. */
  staleness: number[];
  /** What it waits for, or why it was lost last. */
  note: string | null;
}

/** A training as it stands; with its parts where it is spread over several. */
export interface LiveTraining extends TrainProgress {
  parts?: TrainingPart[];
}
