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
  /** Of a loss that sees whole batches: its gradient by all of the batch's inputs, from the first backward pass on. */
  #wholeGradient: Float32Array | null = null;

  constructor(options: StageOptions) {
    const { part, next, tf, optimizer, from, pipeline, stage } = options;
    if ((part.loss === null) === (next === null)) {
      throw new LookalikeError(
        'invalidInput',
        `Expected stage ${stage} to end in ${next === null ? 'the loss' : 'a link'}, got ${next === null ? 'neither' : 'the loss and a link'}.`,
      );
    }
    if (part.loss?.isRowWise === false && pipeline.schedule !== 'gpipe') {
      throw new LookalikeError(
        'invalidInput',
        'Expected the schedule gpipe, as the loss compares all rows of a batch: the first backward pass waits for the last forward one.',
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
      this.#wholeGradient = null;
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
    const step = this.#state.step;
    const shape = [rows.end - rows.start, ...inputShape];
    let done: { loss: number; gradient: Float32Array | null };
    if (next !== null) {
      const outputShape = [rows.end - rows.start, ...part.layers.at(-1)!.outputShape];
      const received = await receiveExpected(next, { kind: 'gradient', step, microBatch, shape: outputShape });
      done = this.#differentiate(this.#held.get(microBatch)!, null, tf.tensor(received, outputShape, 'float32'));
    } else if (part.loss!.isRowWise) {
      const labels = batch.labels!.subarray(rows.start, rows.end);
      const weight = labels.length / batch.numRows;
      done = this.#differentiate(this.#held.get(microBatch)!, { labels, weight }, null);
    } else {
      done = this.#fromWhole(batch, microBatch, rows);
    }
    this.#held.get(microBatch)!.dispose();
    this.#held.delete(microBatch);
    if (!Number.isFinite(done.loss)) {
      throw new LookalikeError(
        'nonFinite',
        `Expected a finite loss at step ${step}, got ${done.loss}; nothing was updated. Lower the learning rate.`,
        { step },
      );
    }
    if (previous !== null) await previous.send({ kind: 'gradient', step, microBatch, shape, values: done.gradient! });
    return done.loss;
  }

  /** All micro-batches at once, for the first of them; the others take their rows of the gradient. */
  #fromWhole(
    batch: StageBatch,
    microBatch: number,
    rows: { start: number; end: number },
  ): { loss: number; gradient: Float32Array | null } {
    const { tf, inputShape, previous } = this.#options;
    let loss = 0;
    if (microBatch === 0) {
      // A map lists its keys in the order of the forward passes.
      const whole = tf.concat([...this.#held.values()]);
      const done = this.#differentiate(whole, { labels: batch.labels!, weight: 1 }, null);
      whole.dispose();
      loss = done.loss;
      this.#wholeGradient = done.gradient;
    }
    if (previous === null) return { loss, gradient: null };
    const size = sizeOf(inputShape);
    return { loss, gradient: this.#wholeGradient!.slice(rows.start * size, rows.end * size) };
  }

  /**
   * Adds the gradient of these rows by the parameters to the step's; gives the loss (0 where another stage sees it) and the gradient
   * by the input, which of a model's own input is nobody's business. Disposes of `byOutput`.
   */
  #differentiate(
    input: Tensor,
    target: { labels: Int32Array; weight: number } | null,
    byOutput: Tensor | null,
  ): { loss: number; gradient: Float32Array | null } {
    const { tf, part, previous } = this.#options;
    const { loss: lossLayer } = part;
    const isFirst = previous === null;
    let loss = 0;
    let gradient: Float32Array | null = null;
    tf.tidy(() => {
      const by = [...(isFirst ? [] : [input]), ...this.#state.tensors];
      if (by.length === 0) return;
      const { value, grads } = tf.valueAndGrads((...given: Tensor[]) => {
        const [x, parameters] = isFirst ? [input, given] : [given[0]!, given.slice(1)];
        if (target === null || lossLayer === null) return forwardOf(tf, part, x, parameters);
        const all = { ...part, loss: lossLayer };
        return tf.mul(lossOf(tf, all, x, target.labels, parameters, this.#state.step), target.weight);
      })(by, byOutput ?? undefined);
      this.#state.addGradients(isFirst ? grads : grads.slice(1));
      if (target !== null) loss = value.dataSync()[0]!;
      if (!isFirst) gradient = grads[0]!.dataSync<'float32'>();
    });
    byOutput?.dispose();
    return { loss, gradient };
  }

  /** Parameters and moments after the steps done: a view, valid until the next step. */
  read(): Readonly<ShardSeed> {
    return this.#state.read();
  }

  dispose(): void {
    this.#state.dispose();
  }
}
