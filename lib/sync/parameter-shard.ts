import { LookalikeError } from '../../contracts/errors.ts';
import { createOptimizer } from './optimizer.ts';
import type { OptimizerState, Update } from './optimizer.ts';
import { PendingSteps } from './pending-steps.ts';
import { expectPush, expectSeed, expectShardConfig } from './shard-checks.ts';
import type { Pulled, Push, PushOutcome, ShardConfig, ShardSeed, ShardStatistics } from './protocol.ts';
import { WaitList } from './wait-list.ts';

/** Bins of the staleness histogram of pushes that are applied as they come; the last collects the rest. */
const NUM_IMMEDIATE_BINS = 65;

interface State extends OptimizerState {
  step: number;
}

/**
 * One range of the parameters, its optimiser's moments, and the rule by which gradients reach them. Pure: nothing but calls moves
 * it, and the values depend on what was pushed, not on when (clocked) or in what order.
 *
 * Invariants: steps are applied in order, each once, as the mean of its slices' gradients weighted by their rows, summed in slice
 * order in double precision; no array handed out is ever written to again; gradients of at most `staleness + 1` steps are held.
 */
export class ParameterShard {
  readonly #config: ShardConfig;
  readonly #length: number;
  readonly #update: Update;
  readonly #pending: PendingSteps;
  readonly #mean: Float32Array;
  readonly #pulls = new WaitList<Pulled>();
  readonly #snapshots = new WaitList<ShardSeed>();
  #state: State | null = null;
  /** The present values, copied once for all who pull this version. */
  #published: Pulled | null = null;
  /** Where each step waits for every slice: the values one step back, for a slice that has pushed that step here but not to every shard. */
  #previous: Pulled | null = null;
  #kept: ShardSeed | null = null;
  #nextStepBySlice: number[] = [];
  #counts = { numPushes: 0, numDuplicates: 0, numDropped: 0 };
  #staleness: number[] = [];

  /** @throws LookalikeError `invalidInput` for a configuration that cannot work. */
  constructor(config: ShardConfig) {
    expectShardConfig(config);
    this.#config = config;
    this.#length = config.range.end - config.range.start;
    this.#update = createOptimizer(config.optimizer, config.decayRanges, this.#length);
    this.#pending = new PendingSteps(config, this.#length);
    this.#mean = new Float32Array(this.#length);
  }

  get isSeeded(): boolean {
    return this.#state !== null;
  }

  /**
   * Starts from this state (copied); whatever was pending is forgotten, and whoever waits is refused with `conflict`.
   * @throws LookalikeError `dimensionMismatch` | `nonFinite` | `invalidInput`, and the shard is as before
   */
  seed(seed: ShardSeed): void {
    expectSeed(seed, this.#length);
    this.abort(new LookalikeError('conflict', 'The shard was seeded anew while this request waited: pull again.'));
    this.#state = copyOf(seed);
    this.#published = null;
    this.#previous = null;
    this.#kept = null;
    this.#pending.reset(seed.step);
    this.#nextStepBySlice = new Array<number>(this.#config.numSlices).fill(this.#isClocked ? seed.step : 0);
    this.#counts = { numPushes: 0, numDuplicates: 0, numDropped: 0 };
    this.#staleness = new Array<number>(this.#numBins).fill(0);
  }

  /**
   * Takes one slice's gradient; the array is the shard's from now on. `duplicate` is a repetition of an accepted one, `dropped`
   * came after its step had been applied without it.
   * @throws LookalikeError `conflict` before a seed, and for a step or version that is still to come; `dimensionMismatch`; `nonFinite`;
   * `invalidInput` for a slice, weight or learning rate out of bounds. Nothing has changed then.
   */
  push(push: Push): PushOutcome {
    const state = this.#expectState();
    expectPush(push, this.#config, state.step);
    const outcome = this.#isClocked ? this.#pending.add(push) : this.#applyNow(state, push);
    if (outcome === 'accepted') {
      this.#counts.numPushes++;
      this.#nextStepBySlice[push.slice] = Math.max(this.#nextStepBySlice[push.slice]!, push.step + 1);
      this.#applyComplete(state);
    } else if (outcome === 'duplicate') this.#counts.numDuplicates++;
    this.#counts.numDropped = this.#pending.numDropped;
    return outcome;
  }

  /**
   * The values from which a slice may compute `step`: at once when they hold every step up to `step - 1 - staleness` (immediate: always),
   * else as soon as they do. With neither staleness nor backups, those right after `step` steps even when one more was applied
   * since. Read only, shared by all who pull the same version.
   * @throws LookalikeError `conflict` before a seed, or when another comes first; `cancelled`
   */
  async pull({ step, signal }: { step: number; signal?: AbortSignal }): Promise<Pulled> {
    const state = this.#expectState();
    const { consistency } = this.#config;
    const needed = consistency.kind === 'clocked' ? step - consistency.staleness : 0;
    if (this.#previous?.version === step) return this.#previous;
    if (state.step >= needed) return this.#publish(state);
    return this.#pulls.wait(needed, signal);
  }

  /**
   * The state right after `step`, once that is reached: of a step gone by only when it is the last multiple of `checkpointEverySteps`.
   * @throws LookalikeError `conflict` before a seed, when another comes first, or for a step that is no longer kept; `cancelled`
   */
  async snapshot(step: number, signal?: AbortSignal): Promise<ShardSeed> {
    const state = this.#expectState();
    if (step > state.step) return this.#snapshots.wait(step, signal);
    if (this.#kept?.step === step) return this.#kept;
    if (state.step === step) return copyOf(state);
    throw new LookalikeError(
      'conflict',
      `Expected to still hold the state after step ${step}, but the shard is at step ${state.step} and keeps ` +
        `${this.#kept === null ? 'none' : `step ${this.#kept.step}`}: ask for a multiple of ${this.#config.checkpointEverySteps} in time.`,
      { step, present: state.step },
    );
  }

  /** Zeros before a seed; counts since the last one. */
  statistics(): ShardStatistics {
    return {
      step: this.#state?.step ?? 0,
      ...this.#counts,
      staleness: [...this.#staleness],
      nextStepBySlice: [...this.#nextStepBySlice],
    };
  }

  /** Refuses everybody who waits, with this error. */
  abort(error: Error): void {
    this.#pulls.rejectAll(error);
    this.#snapshots.rejectAll(error);
  }

  get #isClocked(): boolean {
    return this.#config.consistency.kind === 'clocked';
  }

  get #keepsPrevious(): boolean {
    const { consistency } = this.#config;
    return consistency.kind === 'clocked' && consistency.staleness === 0 && consistency.backups === 0;
  }

  get #numBins(): number {
    const { consistency } = this.#config;
    return consistency.kind === 'clocked' ? consistency.staleness + 1 : NUM_IMMEDIATE_BINS;
  }

  /** Clocked: every step that is complete by now, in order. */
  #applyComplete(state: State): void {
    for (let pushes = this.#pending.take(this.#mean); pushes !== null; pushes = this.#pending.take(this.#mean)) {
      for (const { step, version } of pushes) this.#count(step - version);
      this.#apply(state, this.#mean, pushes[0]!.learningRate);
    }
  }

  #applyNow(state: State, push: Push): PushOutcome {
    if (push.step < this.#nextStepBySlice[push.slice]!) return 'duplicate';
    this.#count(state.step - push.version);
    this.#apply(state, push.gradient, push.learningRate);
    return 'accepted';
  }

  #count(staleness: number): void {
    this.#staleness[Math.max(0, Math.min(staleness, this.#numBins - 1))]!++;
  }

  #apply(state: State, gradient: Float32Array, learningRate: number): void {
    if (this.#keepsPrevious) this.#previous = this.#publish(state);
    this.#update(state, gradient, { learningRate, numUpdates: state.step });
    state.step++;
    this.#published = null;
    if (state.step % this.#config.checkpointEverySteps === 0) this.#kept = copyOf(state);
    this.#pulls.reach(state.step, () => this.#publish(state));
    this.#snapshots.reach(state.step, () => (this.#kept?.step === state.step ? this.#kept : copyOf(state)));
  }

  #publish(state: State): Pulled {
    this.#published ??= { version: state.step, values: state.values.slice() };
    return this.#published;
  }

  #expectState(): State {
    if (this.#state !== null) return this.#state;
    throw new LookalikeError('conflict', 'Expected a shard with state, but it has none: the lead must seed it.');
  }
}

function copyOf({ step, values, firstMoments, secondMoments }: ShardSeed): ShardSeed {
  return { step, values: values.slice(), firstMoments: firstMoments.slice(), secondMoments: secondMoments.slice() };
}
