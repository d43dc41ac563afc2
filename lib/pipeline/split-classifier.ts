import { LookalikeError } from '../../contracts/errors.ts';
import type { Tf } from '../nn/tf.ts';
import type { OptimizerConfig, ShardSeed } from '../sync/protocol.ts';
import { BlockState, combine } from './classifier-block.ts';
import type { ClassifierBlock } from './classifier-block.ts';
import { receiveExpected } from './link.ts';
import type { Link, TensorFrame } from './link.ts';
import { microBatchesOf } from './schedule.ts';

export interface SplitOptions {
  tf: Tf;
  /** Of this machine. */
  block: ClassifierBlock;
  numMicroBatches: number;
  optimizer: OptimizerConfig;
  /** The block's parameters and moments; taken over. */
  from: ShardSeed;
}

export interface SplitBatch {
  /** [B], the same on every machine: they are drawn by a pure function of seed and step and need not travel. */
  labels: Int32Array;
  learningRate: number;
}

/**
 * The machine of a split classifier that the rest of the model is linked to; it holds the first block. Of each micro-batch, every other
 * machine gets the inputs [n, D] and the logarithm of the sum over all labels [n], and gives [3, n] and the gradient by the inputs
 * [n, D]: nothing that travels grows with the number of labels. Sums are taken in the order of the blocks.
 */
export class ClassifierRoot {
  readonly #options: SplitOptions;
  readonly #state: BlockState;
  readonly #previous: Link;
  readonly #members: readonly Link[];

  /** `members` hold the blocks after the first, in order. */
  constructor(options: SplitOptions, previous: Link, members: readonly Link[]) {
    this.#options = options;
    this.#state = new BlockState(options.tf, options.block, options.optimizer, options.from);
    this.#previous = previous;
    this.#members = members;
  }

  /** @returns the mean loss. @throws as a pipeline's stage */
  async runStep({ labels, learningRate }: SplitBatch): Promise<number> {
    const weight = 1 / labels.length;
    let total = 0;
    const micro = microBatchesOf(labels.length, this.#options.numMicroBatches);
    try {
      for (const [microBatch, { start, end }] of micro.entries()) {
        const [rows, whole] = frames(this.#options, this.#state.step, microBatch, end - start);
        const input = await receiveExpected(this.#previous, whole('activation'));
        await this.#tell({ ...whole('activation'), values: input });
        const own = this.#state.scores(input, labels.subarray(start, end));
        const { logPartition, loss } = combine([own, ...(await this.#ask(rows('statistics', 3)))], end - start);
        const sum = loss.reduce((all, each) => all + each, 0);
        if (!Number.isFinite(sum)) throw nonFinite(this.#state.step, sum);
        total += sum;
        await this.#tell({ ...rows('logPartition', 1), values: logPartition });
        const gradient = Float32Array.from(this.#state.gradient(logPartition, weight));
        for (const part of await this.#ask(whole('gradient'))) part.forEach((value, i) => (gradient[i]! += value));
        await this.#previous.send({ ...whole('gradient'), values: gradient });
      }
      this.#state.update(learningRate);
    } finally {
      this.#state.forget();
    }
    return total * weight;
  }

  /** A view, valid until the next step. */
  read(): Readonly<ShardSeed> {
    return this.#state.read();
  }

  dispose(): void {
    this.#state.dispose();
  }

  async #tell(frame: TensorFrame): Promise<void> {
    await Promise.all(this.#members.map((member) => member.send(frame)));
  }

  #ask(expected: Omit<TensorFrame, 'values'>): Promise<Float32Array[]> {
    return Promise.all(this.#members.map((member) => receiveExpected(member, expected)));
  }
}

/** Another machine of a split classifier. */
export class ClassifierMember {
  readonly #options: SplitOptions;
  readonly #state: BlockState;
  readonly #root: Link;

  constructor(options: SplitOptions, root: Link) {
    this.#options = options;
    this.#state = new BlockState(options.tf, options.block, options.optimizer, options.from);
    this.#root = root;
  }

  /** @throws as a pipeline's stage */
  async runStep({ labels, learningRate }: SplitBatch): Promise<void> {
    const micro = microBatchesOf(labels.length, this.#options.numMicroBatches);
    try {
      for (const [microBatch, { start, end }] of micro.entries()) {
        const [rows, whole] = frames(this.#options, this.#state.step, microBatch, end - start);
        const input = await receiveExpected(this.#root, whole('activation'));
        const values = this.#state.scores(input, labels.subarray(start, end));
        await this.#root.send({ ...rows('statistics', 3), values });
        const logPartition = await receiveExpected(this.#root, rows('logPartition', 1));
        const gradient = this.#state.gradient(logPartition, 1 / labels.length);
        await this.#root.send({ ...whole('gradient'), values: gradient });
      }
      this.#state.update(learningRate);
    } finally {
      this.#state.forget();
    }
  }

  /** A view, valid until the next step. */
  read(): Readonly<ShardSeed> {
    return this.#state.read();
  }

  dispose(): void {
    this.#state.dispose();
  }
}

type Heading = Omit<TensorFrame, 'values'>;

/** The frames of one micro-batch of n rows: some numbers of each row [k, n], and whole rows [n, D]. */
function frames(
  { block }: SplitOptions,
  step: number,
  microBatch: number,
  numRows: number,
): [(kind: TensorFrame['kind'], perRow: number) => Heading, (kind: TensorFrame['kind']) => Heading] {
  const of = (kind: TensorFrame['kind'], shape: number[]): Heading => ({ kind, step, microBatch, shape });
  return [(kind, perRow) => of(kind, [perRow, numRows]), (kind) => of(kind, [numRows, block.classifier.dim])];
}

function nonFinite(step: number, loss: number): LookalikeError {
  return new LookalikeError(
    'nonFinite',
    `Expected a finite loss at step ${step}, got ${loss}; nothing was updated. Lower the learning rate.`,
    { step },
  );
}
