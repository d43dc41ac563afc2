import type { Tensor } from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Tf } from '../nn/tf.ts';
import type { OptimizerConfig, ShardSeed } from '../sync/protocol.ts';
import { sizeOf } from './layers/layer.ts';
import type { RowShape } from './layers/layer.ts';
import { receiveExpected } from './link.ts';
import type { Link } from './link.ts';
import { forwardOf, lossOf } from './model.ts';
import type { ModelPart } from './model.ts';
import { PartState } from './part-state.ts';
import { microBatchesOf, operationsOf } from './schedule.ts';
import type { Operation, PipelineShape } from './schedule.ts';

export interface StageOptions {
  tf: Tf;
  part: ModelPart;
  /** Shape of a row that comes in. */
  inputShape: RowShape;
  /** 0..K-1. */
  stage: number;
  pipeline: PipelineShape;
  optimizer: OptimizerConfig;
  /** The part's parameters and moments; taken over. */
  from: ShardSeed;
  /** To the stage before; null for the first. */
  previous: Link | null;
  /** To the stage after; null for the one that holds the loss. */
  next: Link | null;
}

/** One global batch, of which the first stage needs the inputs and the last one the labels. */
export interface StageBatch {
  numRows: number;
  /** [numRows, ...inputShape] */
  inputs?: Float32Array;
  /** [numRows] */
  labels?: Int32Array;
  learningRate: number;
}

/**
 * One stage of a pipeline. Forward passes keep nothing but the micro-batch's input, from which the backward pass computes the rest
 * again (Huang et al., arXiv 1811.06965, sec. 2.3). Invariant: between steps it holds its parameters' tensors and no other.
 */
export class PipelineStage {
  readonly #options: StageOptions;
  readonly #state: PartState;
  readonly #order: readonly Operation[];
  /** Inputs of micro-batches that went forward and not yet back. */
  readonly #held = new Map<number, Tensor>();

  constructor(options: StageOptions) {
    const { part, next, tf, optimizer, from, pipeline, stage } = options;
    if ((part.loss === null) === (next === null)) {
      throw new LookalikeError(
        'invalidInput',
        `Expected stage ${stage} to end in ${next === null ? 'the loss' : 'a link'}, got ${next === null ? 'neither' : 'the loss and a link'}.`,
      );
    }
    this.#options = options;
    this.#state = new PartState(tf, part, optimizer, from);
    this.#order = operationsOf(pipeline, stage);
  }

  /**
   * One step of training, to the update of this stage's parameters. Every stage must be asked for the same step.
   * @returns the loss over the whole batch, or null where this stage does not see it
   * @throws LookalikeError `nonFinite` before this stage's update; `conflict` | `unavailable` from a link. A stage that has thrown is
   * to be started again from a checkpoint, with all others.
   */
  async runStep(batch: StageBatch): Promise<number | null> {
    const { pipeline, part } = this.#options;
    const micro = microBatchesOf(batch.numRows, pipeline.numMicroBatches);
    let loss = 0;
    try {
      for (const { kind, microBatch } of this.#order) {
        const rows = micro[microBatch]!;
        if (kind === 'forward') await this.#forward(batch, microBatch, rows);
        else loss += await this.#backward(batch, microBatch, rows);
      }
      this.#state.update(batch.learningRate);
      return part.loss === null ? null : loss;
    } finally {
      for (const input of this.#held.values()) input.dispose();
      this.#held.clear();
      this.#state.dropGradients();
    }
  }

  async #forward(batch: StageBatch, microBatch: number, rows: { start: number; end: number }): Promise<void> {
    const { tf, part, inputShape, previous, next } = this.#options;
    const shape = [rows.end - rows.start, ...inputShape];
    const size = sizeOf(inputShape);
    const step = this.#state.step;
    const values =
      previous === null
        ? batch.inputs!.slice(rows.start * size, rows.end * size)
        : await receiveExpected(previous, { kind: 'activation', step, microBatch, shape });
    const input = tf.tensor(values, shape, 'float32');
    this.#held.set(microBatch, input);
    // Where the loss is, the backward pass computes it too.
    if (next === null) return;
    const output = tf.tidy(() => forwardOf(tf, part, input, this.#state.tensors));
    const frame = { shape: output.shape, values: output.dataSync<'float32'>() };
    output.dispose();
    await next.send({ kind: 'activation', step, microBatch, ...frame });
  }

  /** Adds to the gradient. Returns the micro-batch's share of the loss where that is known. */
  async #backward(batch: StageBatch, microBatch: number, rows: { start: number; end: number }): Promise<number> {
    const { tf, part, inputShape, previous, next } = this.#options;
    const { loss: lossLayer } = part;
    const numRows = rows.end - rows.start;
    const outputShape = [numRows, ...(part.layers.at(-1)?.outputShape ?? inputShape)];
    const step = this.#state.step;
    const received =
      next === null ? null : await receiveExpected(next, { kind: 'gradient', step, microBatch, shape: outputShape });
    const input = this.#held.get(microBatch)!;
    let loss = 0;
    let gradient: Float32Array | null = null;
    tf.tidy(() => {
      // The gradient by the model's own input is nobody's business.
      const by = [...(previous === null ? [] : [input]), ...this.#state.tensors];
      const split = (given: Tensor[]): [Tensor, Tensor[]] =>
        previous === null ? [input, given] : [given[0]!, given.slice(1)];
      if (by.length === 0) return;
      const { value, grads } = tf.valueAndGrads((...given: Tensor[]) => {
        const [x, parameters] = split(given);
        if (lossLayer === null) return forwardOf(tf, part, x, parameters);
        const labels = batch.labels!.subarray(rows.start, rows.end);
        return tf.mul(lossOf(tf, { ...part, loss: lossLayer }, x, labels, parameters), numRows / batch.numRows);
      })(by, received === null ? undefined : tf.tensor(received, outputShape, 'float32'));
      this.#state.addGradients(split(grads)[1]);
      if (lossLayer !== null) loss = value.dataSync()[0]!;
      if (previous !== null) gradient = grads[0]!.dataSync<'float32'>();
    });
    input.dispose();
    this.#held.delete(microBatch);
    if (!Number.isFinite(loss)) {
      throw new LookalikeError(
        'nonFinite',
        `Expected a finite loss at step ${step}, got ${loss}; nothing was updated. Lower the learning rate.`,
        { step },
      );
    }
    if (previous !== null && gradient !== null) {
      await previous.send({ kind: 'gradient', step, microBatch, shape: input.shape, values: gradient });
    }
    return loss;
  }

  /** A copy of parameters and moments after the steps done. */
  read(): ShardSeed {
    return this.#state.read();
  }

  dispose(): void {
    this.#state.dispose();
  }
}
