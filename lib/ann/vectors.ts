import type { Metric } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { Kernels } from './kernels/kernels.ts';
import { inPieces } from './pause.ts';

/** Immutable rows, f32 [size, dim], row-major, at `address` of the memory that the kernels run on. */
export interface Vectors {
  readonly kernels: Kernels;
  readonly address: number;
  /** A view of them. */
  readonly data: Float32Array;
  readonly dim: number;
  readonly size: number;
}

/** Longer vectors are refused: sums of their products leave what f32 holds, and scores that are no numbers have no order. */
export const MAX_LENGTH = 1e18;

/** @throws LookalikeError `dimensionMismatch` | `nonFinite` */
export function checkVector(vector: Float32Array, dim: number, what: string): void {
  if (vector.length !== dim) {
    throw new LookalikeError(
      'dimensionMismatch',
      `Expected ${what} to have ${dim} dimensions, got ${vector.length}. Embed it with the model of this index.`,
      { expected: dim, got: vector.length },
    );
  }
  let sum = 0;
  for (let i = 0; i < dim; i++) sum += vector[i]! * vector[i]!;
  if (sum <= MAX_LENGTH ** 2) return;
  const at = vector.findIndex((value) => !Number.isFinite(value));
  throw new LookalikeError(
    'nonFinite',
    at < 0
      ? `Expected ${what} to be at most ${MAX_LENGTH} long, so that scores are finite, got ${Math.sqrt(sum)}. Scale it down.`
      : `Expected ${what} to be finite numbers, got ${vector[at]} at position ${at}.`,
  );
}

/** What the metric compares: unit vectors under cosine, else the vector itself. */
export function prepared(vector: Float32Array, metric: Metric): Float32Array {
  return metric === 'cosine' ? normalised(vector) : vector;
}

/** A squared length this near to 1 is 1 but for the rounding of the components: twice what rounding can do. */
const UNIT_TOLERANCE = 2 ** -22;

/**
 * `vector / |vector|`; a zero vector stays zero and scores 0 against everything. A unit vector stays as it is, bit for bit: what
 * one index stores goes into another unchanged.
 */
function normalised(vector: Float32Array): Float32Array {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i]! * vector[i]!;
  if (Math.abs(sum - 1) <= UNIT_TOLERANCE) return vector;
  const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
  const unit = new Float32Array(vector.length);
  for (let i = 0; i < vector.length; i++) unit[i] = vector[i]! * scale;
  return unit;
}

/** Rows for which room is made at once: a multiple of 16, so that what is allocated in turn lies in one piece. */
const ROOM_ROWS = 64;

/** Collects rows where the kernels will work on them. */
export class VectorCollector {
  readonly #kernels = new Kernels();
  readonly #dim: number;
  readonly #metric: Metric;
  #address: number | undefined;
  #size = 0;
  #spent = false;

  constructor(dim: number, metric: Metric) {
    if (!Number.isInteger(dim) || dim < 1) {
      throw new LookalikeError('invalidInput', `Expected \`dim\` to be a positive integer, got ${dim}.`);
    }
    this.#dim = dim;
    this.#metric = metric;
  }

  get size(): number {
    return this.#size;
  }

  add(vector: Float32Array): void {
    this.#assertFresh();
    checkVector(vector, this.#dim, `vector ${this.#size}`);
    const rowBytes = this.#dim * 4;
    if (this.#size % ROOM_ROWS === 0) {
      const room = this.#kernels.allocate(ROOM_ROWS * rowBytes);
      this.#address ??= room;
    }
    this.#kernels.f32(this.#address! + this.#size * rowBytes, this.#dim).set(prepared(vector, this.#metric));
    this.#size++;
  }

  /** Hands the rows over; the collector is spent. */
  finish(): Vectors {
    this.#assertFresh();
    this.#spent = true;
    return vectorsAt(this.#kernels, this.#address ?? this.#kernels.allocate(0), this.#dim, this.#size);
  }

  #assertFresh(): void {
    if (this.#spent) throw new LookalikeError('conflict', 'Expected a fresh builder, but its index was built already.');
  }
}

/**
 * Rows from the bytes of a file, copied to where the kernels work. A number that is not finite is refused, as it is when an index
 * is built: its scores have no order, and no search would be right.
 * @throws LookalikeError `corruptArtifact`
 */
export async function placedVectors(bytes: Uint8Array, dim: number, size: number): Promise<Vectors> {
  if (bytes.length !== size * dim * 4) {
    throw new LookalikeError(
      'corruptArtifact',
      `Expected ${size} x ${dim} vectors, got ${bytes.length} bytes of them.`,
    );
  }
  const kernels = new Kernels();
  const vectors = vectorsAt(kernels, kernels.allocate(bytes.length), dim, size);
  const target = kernels.u8(vectors.address, bytes.length);
  await inPieces(size, dim, (from, to) => {
    target.set(bytes.subarray(from * dim * 4, to * dim * 4), from * dim * 4);
    if (areFinite(vectors.data.subarray(from * dim, to * dim))) return;
    throw new LookalikeError(
      'corruptArtifact',
      `Expected finite numbers in every row of the index file, and among rows ${from} to ${to - 1} there are others. ` +
        'Rebuild the index.',
    );
  });
  return vectors;
}

/** A finite number times 0 is 0, any other NaN. Four sums, so that none waits for the other: a quarter of the checksum's time. */
function areFinite(values: Float32Array): boolean {
  let [a, b, c, d] = [0, 0, 0, 0];
  const end = values.length - (values.length % 4);
  for (let i = 0; i < end; i += 4) {
    a += values[i]! * 0;
    b += values[i + 1]! * 0;
    c += values[i + 2]! * 0;
    d += values[i + 3]! * 0;
  }
  for (let i = end; i < values.length; i++) a += values[i]! * 0;
  return a + b + c + d === 0;
}

function vectorsAt(kernels: Kernels, address: number, dim: number, size: number): Vectors {
  return { kernels, address, dim, size, data: kernels.f32(address, size * dim) };
}
