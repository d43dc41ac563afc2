import { receiveExpected } from '../pipeline/link.ts';
import type { Link } from '../pipeline/link.ts';
import { receiveState } from '../pipeline/state-transfer.ts';
import type { ShardSeed } from '../sync/protocol.ts';
import { HeadModel, initialValues } from './head-model.ts';
import type { HeadProgram, TrainedHead } from './head-program.ts';
import { leadLink } from './model-parallel-plan.ts';
import type { ModelParallelPlan, Segment } from './model-parallel-plan.ts';
import { eachPiece, groupOf, groupsOf, lengthOf } from './part-state.ts';
import type { StateGroup } from './part-state.ts';
import { EpochRecord } from './train-state.ts';
import type { TrainState } from './train-state.ts';

/** A training state but for what lies with its parts. */
export type StateHeading = Pick<TrainState, 'step' | 'recallByEpoch' | 'best'>;

/** Takes the values of one group of a parameter from `start` on; each value comes once. */
export type StateWriter = (group: StateGroup, name: string, start: number, values: Float32Array) => Promise<void>;

/** Durable when it resolves: `fill` gathers all parts' values, no more than a chunk of which is in memory at once. */
export type OnPartsCheckpoint = (heading: StateHeading, fill: (write: StateWriter) => Promise<void>) => Promise<void>;

export interface PipelineLeadOptions {
  program: HeadProgram;
  plan: ModelParallelPlan;
  /** What the run goes on from. */
  from: StateHeading | undefined;
  link: (name: string) => Link;
  onCheckpoint: OnPartsCheckpoint;
}

/** What is exported is judged too: everything but what only the loss needs. */
const isJudged = ({ name }: Segment): boolean => name !== 'proxies';
/** What a part sends at an epoch's end, in order. */
export const judgedSegments = (segments: readonly Segment[]): Segment[] => segments.filter(isJudged);

/**
 * What the first stage does besides its layers: validates, keeps the best epoch, gathers checkpoints, and says when the run is over.
 * Of the parameters it holds the exported layers, twice, but never the classifier.
 */
export class PipelineLead {
  readonly #options: PipelineLeadOptions;
  readonly #epochs: EpochRecord;
  /** The exported layers at the last epoch's end. */
  readonly #judged: Record<string, Float32Array>;
  readonly #head: HeadModel;

  constructor(options: PipelineLeadOptions) {
    const { program, from } = options;
    const { tf, config, shape, canJudge } = program;
    this.#options = options;
    this.#epochs = new EpochRecord(config, canJudge, from);
    this.#judged = initialValues({ ...config, loss: null }, shape);
    this.#head = new HeadModel(tf, null, shape, this.#judged);
  }

  get recallByEpoch(): readonly number[] {
    return this.#epochs.recallByEpoch;
  }

  /** Tells all parts whether the epoch that begins at this step is taken. */
  async decide(step: number): Promise<boolean> {
    const goesOn = !this.#epochs.isExhausted;
    const values = Float32Array.of(goesOn ? 1 : 0);
    await Promise.all(
      this.#others().map(({ link }) => link.send({ kind: 'verdict', step, microBatch: 0, shape: [1], values })),
    );
    return goesOn;
  }

  /** The loss of a step that another part saw. */
  async lossOf(step: number): Promise<number> {
    const { plan, link } = this.#options;
    const last = link(leadLink(plan.pipeline.numStages - 1));
    const [loss] = await receiveExpected(last, { kind: 'loss', step, microBatch: 0, shape: [1] });
    return loss!;
  }

  /** Validates at an epoch's end, after step `step`. */
  async judge(step: number, own: Readonly<ShardSeed>): Promise<void> {
    const { program } = this.#options;
    const put = (name: string, start: number, values: Float32Array): void => this.#judged[name]!.set(values, start);
    await this.#gather(step, 'value', own, isJudged, put);
    this.#head.writeValues(this.#judged);
    const copies = (): Record<string, Float32Array> =>
      Object.fromEntries(Object.entries(this.#judged).map(([name, values]) => [name, values.slice()]));
    this.#epochs.add(program.recall(this.#head), copies);
  }

  /** Keeps the state after step `step` of all parts. */
  async checkpoint(step: number, own: Readonly<ShardSeed>): Promise<void> {
    const { onCheckpoint, program } = this.#options;
    const heading = { step, recallByEpoch: [...this.recallByEpoch], best: this.#epochs.best };
    await onCheckpoint(heading, async (write) => {
      for (const group of groupsOf(program.config.optimizer.kind)) {
        await this.#gather(
          step,
          group,
          own,
          () => true,
          (name, start, values) => write(group, name, start, values),
        );
      }
    });
  }

  /** The head that was kept. @throws LookalikeError `invalidInput` without an epoch */
  finish(): TrainedHead {
    return this.#options.program.finish(this.#epochs);
  }

  dispose(): void {
    this.#head.dispose();
  }

  /** One group of all parts, in their order. */
  async #gather(
    step: number,
    group: StateGroup,
    own: Readonly<ShardSeed>,
    isWanted: (segment: Segment) => boolean,
    take: (name: string, start: number, values: Float32Array) => Promise<void> | void,
  ): Promise<void> {
    const [lead] = this.#options.plan.parts;
    await eachPiece(lead!.segments, 0, groupOf(own, group), async (name, start, values) => {
      if (isWanted({ name, start, end: start + values.length })) await take(name, start, values);
    });
    for (const { link, segments } of this.#others()) {
      const wanted = segments.filter(isWanted);
      await receiveState(link, step, lengthOf(wanted), (at, values) => eachPiece(wanted, at, values, take));
    }
  }

  #others(): { link: Link; segments: readonly Segment[] }[] {
    const { plan, link } = this.#options;
    return plan.parts.slice(1).map(({ index, segments }) => ({ link: link(leadLink(index)), segments }));
  }
}
