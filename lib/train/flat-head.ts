import { flatten, unflatten } from '../sync/layout.ts';
import type { ParameterLayout } from '../sync/protocol.ts';
import { headLayout } from './data-parallel-plan.ts';
import { HeadModel, initialValues } from './head-model.ts';
import type { HeadProgram } from './head-program.ts';

/** Gradient of one slice over all parameters, [P]. */
export interface FlatGradient {
  loss: number;
  gradient: Float32Array;
  /** Rows of the slice. */
  weight: number;
}

/** A head whose parameters come from outside as one flat vector, [P]. Invariant: it owns one tensor per parameter. */
export class FlatHead {
  readonly layout: ParameterLayout;
  readonly #program: HeadProgram;
  readonly #head: HeadModel;

  constructor(program: HeadProgram) {
    const { tf, config, shape } = program;
    this.layout = headLayout(config, shape);
    this.#program = program;
    this.#head = new HeadModel(tf, config.loss, shape, initialValues(config, shape));
  }

  /** The array is the caller's. @throws LookalikeError as `HeadProgram.gradients` */
  gradient(values: Float32Array, step: number, slice: number, numSlices: number): FlatGradient {
    this.#head.writeValues(unflatten(this.layout, values));
    const { loss, gradients, numRows } = this.#program.gradients(this.#head, step, slice, numSlices);
    const arrays = Object.fromEntries(
      Object.entries(gradients).map(([name, tensor]) => [name, tensor.dataSync<'float32'>()]),
    );
    this.#program.tf.dispose(gradients);
    return { loss, gradient: flatten(this.layout, arrays), weight: numRows };
  }

  /** Validation recall@1 of these parameters. */
  recall(values: Float32Array): number {
    this.#head.writeValues(unflatten(this.layout, values));
    return this.#program.recall(this.#head);
  }

  dispose(): void {
    this.#head.dispose();
  }
}
