import type { Metric } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { normalised } from './distance.ts';

/** Immutable rows: f32 [size, dim], row-major. */
export interface Vectors {
  readonly data: Float32Array;
  readonly dim: number;
  readonly size: number;
}

/** @throws LookalikeError `dimensionMismatch` | `nonFinite` */
export function checkVector(vector: Float32Array, dim: number, what: string): void {
  if (vector.length !== dim) {
    throw new LookalikeError(
      'dimensionMismatch',
      `Expected ${what} to have ${dim} dimensions, got ${vector.length}. Embed it with the model of this index.`,
      { expected: dim, got: vector.length },
    );
  }
  for (let i = 0; i < dim; i++) {
    if (!Number.isFinite(vector[i])) {
      throw new LookalikeError(
        'nonFinite',
        `Expected ${what} to be finite numbers, got ${vector[i]} at position ${i}.`,
      );
    }
  }
}

/** What the metric compares: unit vectors under cosine, else the vector itself. */
export function prepared(vector: Float32Array, metric: Metric): Float32Array {
  return metric === 'cosine' ? normalised(vector) : vector;
}

/** Collects rows in one growing buffer. */
export class VectorCollector {
  readonly #dim: number;
  readonly #metric: Metric;
  #data: Float32Array;
  #size = 0;
  #spent = false;

  constructor(dim: number, metric: Metric) {
    if (!Number.isInteger(dim) || dim < 1) {
      throw new LookalikeError('invalidInput', `Expected \`dim\` to be a positive integer, got ${dim}.`);
    }
    this.#dim = dim;
    this.#metric = metric;
    this.#data = new Float32Array(64 * dim);
  }

  get size(): number {
    return this.#size;
  }

  add(vector: Float32Array): void {
    this.#assertFresh();
    checkVector(vector, this.#dim, `vector ${this.#size}`);
    const offset = this.#size * this.#dim;
    if (offset + this.#dim > this.#data.length) {
      const grown = new Float32Array(this.#data.length * 2);
      grown.set(this.#data);
      this.#data = grown;
    }
    this.#data.set(prepared(vector, this.#metric), offset);
    this.#size++;
  }

  /** Hands the rows over; the collector is spent. */
  finish(): Vectors {
    this.#assertFresh();
    this.#spent = true;
    const { dim, size, data } = { dim: this.#dim, size: this.#size, data: this.#data };
    this.#data = new Float32Array();
    return { data: data.subarray(0, size * dim), dim, size };
  }

  #assertFresh(): void {
    if (this.#spent) throw new LookalikeError('conflict', 'Expected a fresh builder, but its index was built already.');
  }
}
