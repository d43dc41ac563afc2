/**
 * What replicas and parameter shards say to each other, without how it travels. The parameters of a model are one flat vector of
 * P float32 values; shard i of S holds one contiguous range of it. A step of training has `numSlices` slices, each a fixed share of
 * the global batch, so that a step's gradient does not depend on how many workers computed it: it is the weighted mean of the slice
 * gradients, added in slice order.
 */

/** How gradients travel; parameters always travel as float32. */
export const ENCODINGS = ['none', 'fp16', 'topK', 'oneBit'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** When pushes are applied, and how far a slice may run ahead. */
export type Consistency =
  /**
   * Bulk synchronous for `staleness` 0; else stale synchronous (Ho et al., NIPS 2013): a slice at step c may compute on any parameters that hold all
   * steps up to c - 1 - staleness. Steps are applied in order, each when `numSlices - backups` of its slices have come; later ones are
   * dropped and counted (backup workers: Chen et al., arXiv 1604.00981).
   */
  | { kind: 'clocked'; staleness: number; backups: number }
  /** Downpour (Dean et al., NIPS 2012): each push is applied as it comes. */
  | { kind: 'immediate' };

/** A flat-vector optimiser with decoupled weight decay; its state lives with the range it updates. */
export interface OptimizerConfig {
  kind: 'sgd' | 'adam' | 'adagrad';
  momentum: number;
  weightDecay: number;
}

/** Named parameters laid end to end in the flat vector. */
export interface ParameterLayout {
  entries: readonly {
    name: string;
    offset: number;
    length: number;
    /** Whether weight decay applies. */ decays: boolean;
  }[];
  length: number;
}

/** Everything a shard needs to start, or to start again from a checkpoint. */
export interface ShardSeed {
  /** Steps already applied. */
  step: number;
  /** The shard's range of values and moments, [length] each. */
  values: Float32Array;
  firstMoments: Float32Array;
  secondMoments: Float32Array;
}

export interface ShardConfig {
  /** The shard's range of the flat vector. */
  range: { start: number; end: number };
  numSlices: number;
  consistency: Consistency;
  optimizer: OptimizerConfig;
  /** Parts of the range, relative to its start, to which weight decay applies. */
  decayRanges: readonly { start: number; end: number }[];
  /** The shard keeps a copy of its state after each step that is a multiple of this, until the next one: what a checkpoint reads. */
  checkpointEverySteps: number;
}

/** One slice's gradient over the shard's range. */
export interface Push {
  slice: number;
  /** The step this gradient belongs to, from 0. Of an async run: how many pushes this slice made before. */
  step: number;
  /** Steps that the parameters had seen from which it was computed: `step - version` is its staleness. */
  version: number;
  /** Rows of the slice: its weight in the mean. */
  weight: number;
  learningRate: number;
  gradient: Float32Array;
}

/** What became of a push. A repeated push (same slice and step) has the same outcome and no second effect. */
export type PushOutcome = 'accepted' | 'duplicate' | 'dropped';

export interface Pulled {
  /** Steps applied to these values. */
  version: number;
  values: Float32Array;
}

export interface ShardStatistics {
  /** Steps applied (async: pushes). */
  step: number;
  numPushes: number;
  numDuplicates: number;
  /** Late slices of steps that were applied without them. */
  numDropped: number;
  /** `staleness[s]`: applied pushes that were s steps old; the last bin collects the rest. */
  staleness: number[];
  /** By slice: the `step` of the push that is expected of it next. Where a replica that starts again goes on. */
  nextStepBySlice: number[];
}

/** The parameter server as a trainer sees it: all shards behind one flat vector. */
export interface ParameterClient {
  readonly layout: ParameterLayout;
  /**
   * The parameters for computing `step` of a slice: resolves once the consistency allows it. With neither staleness nor backups they are those right
   * after `step` steps, also at a shard that has taken one more by then: a slice that starts again, having pushed to some shards
   * only, computes the same gradient again.
   * @throws LookalikeError `unavailable` when a shard does not answer in time; `conflict` when a shard has lost its state (it must be seeded) or this
   * client's incarnation is over; `cancelled`
   */
  pull(request: { step: number; signal?: AbortSignal }): Promise<Pulled>;
  /** Resolves when every shard has the gradient. Safe to repeat. @throws as `pull`, and `nonFinite` */
  push(push: Push, signal?: AbortSignal): Promise<PushOutcome>;
  /** The state right after `step` (a multiple of the checkpoint interval, or the last step applied). Waits until it is reached. */
  snapshot(step: number, signal?: AbortSignal): Promise<ShardSeed>;
  /** Starts a new incarnation from this state; every earlier one is over. */
  seed(state: ShardSeed, signal?: AbortSignal): Promise<void>;
  /** Per shard: whether it is seeded, in which incarnation, and its step. */
  status(signal?: AbortSignal): Promise<{ incarnation: number; statistics: ShardStatistics }[]>;
  /** Bytes of frames sent and received by this client, and seconds spent waiting for answers. */
  traffic(): { sentBytes: number; receivedBytes: number; waitSeconds: number };
  close(): Promise<void>;
}
