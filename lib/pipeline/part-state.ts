import type { Tensor } from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Tf } from '../nn/tf.ts';
import { firstNonFinite } from '../sync/finite.ts';
import { createOptimizer } from '../sync/optimizer.ts';
import type { Update } from '../sync/optimizer.ts';
import type { OptimizerConfig, ParameterLayout, ShardSeed } from '../sync/protocol.ts';
import { addTensors, initialValues, layoutOf, toTensors } from './model.ts';
import type { ModelPart } from './model.ts';

/**
 * The parameters of one machine's part of a model, their optimiser's moments, and the gradient of the step under way. Invariant:
 * the tensors hold the values, and it owns exactly one tensor per parameter.
 */
export class PartState {
  readonly #tf: Tf;
  readonly #part: ModelPart;
  readonly #layout: ParameterLayout;
  readonly #update: Update;
  readonly #state: ShardSeed;
  readonly #gradient: Float32Array;
  #tensors: Tensor[];

  /** Takes the arrays of `from` as its own. */
  constructor(tf: Tf, part: ModelPart, optimizer: OptimizerConfig, from: ShardSeed) {
    this.#tf = tf;
    this.#part = part;
    this.#layout = layoutOf(part);
    const { entries, length } = this.#layout;
    const decaying = entries.filter(({ decays }) => decays);
    const ranges = decaying.map(({ offset, length: size }) => ({ start: offset, end: offset + size }));
    this.#update = createOptimizer(optimizer, ranges, length);
    this.#state = from;
    this.#gradient = new Float32Array(length);
    this.#tensors = toTensors(tf, part, from.values);
  }

  /** Steps done. */
  get step(): number {
    return this.#state.step;
  }

  /** In layout order; valid until the next update. */
  get tensors(): readonly Tensor[] {
    return this.#tensors;
  }

  /** Adds one micro-batch's gradients, in layout order, to the step's. */
  addGradients(gradients: readonly Tensor[]): void {
    addTensors(this.#gradient, gradients);
  }

  /** Forgets what was added since the last update. */
  dropGradients(): void {
    this.#gradient.fill(0);
  }

  /** Ends the step. @throws LookalikeError `nonFinite` before anything changes */
  update(learningRate: number): void {
    const bad = firstNonFinite(this.#gradient);
    if (bad !== -1) {
      const { entries } = this.#layout;
      const name = entries.find(({ offset, length }) => bad < offset + length)!.name;
      throw new LookalikeError(
        'nonFinite',
        `Expected a finite gradient of ${name} at step ${this.step}, got NaN or infinity; nothing was updated. Lower the learning rate.`,
        { step: this.step },
      );
    }
    this.#tf.dispose(this.#tensors);
    this.#update(this.#state, this.#gradient, { learningRate, numUpdates: this.step });
    this.#state.step++;
    this.#gradient.fill(0);
    this.#tensors = toTensors(this.#tf, this.#part, this.#state.values);
  }

  /** What a checkpoint holds of this part: a view, valid until the next update. */
  read(): Readonly<ShardSeed> {
    return this.#state;
  }

  dispose(): void {
    this.#tf.dispose(this.#tensors);
    this.#tensors = [];
  }
}

/** A part before its first step. */
export function freshState(part: ModelPart, kind: OptimizerConfig['kind'], seed: number): ShardSeed {
  return untouched(initialValues(part, seed), kind);
}

/** These values before their first step. Moments that the optimiser does not touch take no memory. */
export function untouched(values: Float32Array, kind: OptimizerConfig['kind']): ShardSeed {
  const moments = (used: boolean): Float32Array => new Float32Array(used ? values.length : 0);
  return { step: 0, values, firstMoments: moments(kind !== 'adagrad'), secondMoments: moments(kind !== 'sgd') };
}

/** Moments per parameter that the optimiser keeps: what a cut reckons with. */
export function momentsPerParameter(kind: OptimizerConfig['kind']): number {
  return kind === 'adam' ? 2 : 1;
}
