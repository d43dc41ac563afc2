import { isLookalikeError } from '../../contracts/errors.ts';
import { flatten, unflatten } from '../sync/layout.ts';
import type { ParameterClient, ParameterLayout, Pulled, ShardSeed } from '../sync/protocol.ts';
import type { DataParallelPlan } from './data-parallel-plan.ts';
import type { FlatHead } from './flat-head.ts';
import { initialValues } from './head-model.ts';
import type { HeadProgram, TrainedHead } from './head-program.ts';
import { isWhole } from './session.ts';
import { EpochRecord } from './train-state.ts';
import type { TrainState } from './train-state.ts';

export interface LeadOptions {
  program: HeadProgram;
  plan: DataParallelPlan;
  /** The newest checkpoint; its format is the same for every strategy. */
  from?: TrainState;
  /** Durable when it returns. */
  onCheckpoint?: (state: TrainState) => Promise<void>;
}

/**
 * What replica 0 does besides its slice: gives the shards a state to start from, validates, keeps checkpoints and the best epoch.
 * Invariant: all of it can be had again from the last durable checkpoint, which is what shards that lost their state, or a lead
 * that missed an epoch's end, go back to.
 */
export class Lead {
  readonly #options: LeadOptions;
  #durable: TrainState | undefined;
  #epochs: EpochRecord;

  constructor(options: LeadOptions) {
    this.#options = options;
    this.#durable = options.from;
    this.#epochs = this.#recordOf(options.from);
  }

  get recallByEpoch(): readonly number[] {
    return this.#epochs.recallByEpoch;
  }

  /** Called with a new client: seeds the shards unless all of them hold a state of this run that can be gone on from. */
  async take(client: ParameterClient, signal?: AbortSignal): Promise<void> {
    const { program, plan } = this.#options;
    const states = await client.status(signal);
    const step = plan.stepOf(Math.min(...states.map(({ statistics }) => statistics.step)));
    const nextEpochEnd = (this.recallByEpoch.length + 1) * program.stepsPerEpoch;
    // Parameters of an epoch's end that nobody validated are gone; a run that promises equal bytes goes back for them.
    if (isWhole(states) && (!plan.isExact || step <= nextEpochEnd)) return;
    this.#epochs = this.#recordOf(this.#durable);
    await client.seed(this.#seedOf(client.layout), signal);
  }

  /** Whether this step's parameters are validated or kept: they should then hold every earlier step. */
  isDue(step: number): boolean {
    const { program } = this.#options;
    const { checkpointEverySteps } = program.config;
    return step > 0 && (step % program.stepsPerEpoch === 0 || step % checkpointEverySteps === 0);
  }

  /**
   * Validates what epochs have ended since, and checkpoints, before a step is computed.
   * @returns whether the run is over
   */
  async visit(
    client: ParameterClient,
    head: FlatHead,
    step: number,
    { version, values }: Pulled,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const { program } = this.#options;
    const numMissing = Math.floor(step / program.stepsPerEpoch) - this.recallByEpoch.length;
    if (numMissing > 0) {
      const recall = head.recall(values);
      const kept = (): Record<string, Float32Array> => copied(unflatten(head.layout, values));
      for (let i = 0; i < numMissing; i++) this.#epochs.add(recall, kept);
    }
    if (step >= program.numSteps) return true;
    await this.#checkpoint(client, version, signal);
    // Not only at an epoch's end: with backup workers a step may be the first that this replica sees after one.
    return this.#epochs.isExhausted;
  }

  /** The head that was kept. @throws LookalikeError `invalidInput` without an epoch */
  finish(): TrainedHead {
    return this.#options.program.finish(this.#epochs);
  }

  /** The newest state that the shards keep, unless it is durable already. */
  async #checkpoint(client: ParameterClient, version: number, signal?: AbortSignal): Promise<void> {
    const { plan, onCheckpoint, program } = this.#options;
    const every = plan.shard.checkpointEverySteps;
    const due = Math.floor(version / every) * every;
    const last = this.#durable === undefined ? 0 : plan.appliedOf(this.#durable.step);
    const numEpochs = Math.floor(plan.stepOf(due) / program.stepsPerEpoch);
    // A state says no more than what was known at its step, or a run resumed from it would differ.
    const isTimely = !plan.isExact || numEpochs === this.recallByEpoch.length;
    if (onCheckpoint === undefined || due <= last || plan.stepOf(due) >= program.numSteps || !isTimely) return;
    const snapshot = await this.#snapshot(client, due, signal);
    if (snapshot === null) return;
    const { layout } = client;
    const state: TrainState = {
      step: plan.stepOf(snapshot.step),
      recallByEpoch: [...this.recallByEpoch],
      best: this.#epochs.best,
      values: copied(unflatten(layout, snapshot.values)),
      firstMoments: copied(unflatten(layout, snapshot.firstMoments)),
      secondMoments: copied(unflatten(layout, snapshot.secondMoments)),
    };
    await onCheckpoint(state);
    this.#durable = state;
  }

  /** Null when others went on so fast that it is gone: the next one will do. */
  async #snapshot(client: ParameterClient, step: number, signal?: AbortSignal): Promise<ShardSeed | null> {
    try {
      return await client.snapshot(step, signal);
    } catch (error) {
      const isGone = !this.#options.plan.isExact && isLookalikeError(error) && error.code === 'conflict';
      // A lost state says the same; the next request finds out.
      if (isGone) return null;
      throw error;
    }
  }

  #seedOf(layout: ParameterLayout): ShardSeed {
    const { program, plan } = this.#options;
    const from = this.#durable;
    const moments = (of: TrainState['firstMoments'] | undefined): Float32Array =>
      of === undefined ? new Float32Array(layout.length) : flatten(layout, of);
    return {
      step: plan.appliedOf(from?.step ?? 0),
      values: flatten(layout, from?.values ?? initialValues(program.config, program.shape)),
      firstMoments: moments(from?.firstMoments),
      secondMoments: moments(from?.secondMoments),
    };
  }

  #recordOf(from: TrainState | undefined): EpochRecord {
    const { program } = this.#options;
    return new EpochRecord(program.config, program.canJudge, from);
  }
}

function copied(arrays: Record<string, Float32Array>): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, values.slice()]));
}
