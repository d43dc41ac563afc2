import type { RowStorage } from '../../../contracts/ann.ts';
import { throwIfAborted } from '../rows.ts';
import type { Vectors } from '../vectors.ts';

export type CodedStorage = Exclude<RowStorage, 'float32'>;

/** A query as the codes are compared with it. */
export interface CodedQuery {
  values: Float32Array | Int16Array;
  /** What the kernel's sums are multiplied by. */
  scale: number;
}

/** Rows between two pauses, in which an abort can arrive. */
const PAUSE_ROWS = 512;
/** Numbers that a kernel takes at once: rows are filled up with zeros to a multiple. */
const GROUP: Record<CodedStorage, number> = { float16: 16, int8: 32 };

/**
 * Coarser copies of the rows, which choose candidates. They follow from the rows alone, so files do not hold them.
 * float16: all numbers times one power of two. int8: symmetric, with a scale for each row; the query keeps 16 bits.
 */
export class RowCodes {
  readonly storage: CodedStorage;
  /** Numbers in a row, with those that fill it up. */
  readonly stride: number;
  readonly address: number;
  /** int8: address of f32 [size]. */
  readonly scales: number;
  readonly #vectors: Vectors;
  /** float16: the power of two. */
  readonly #factor: number;

  private constructor(storage: CodedStorage, vectors: Vectors, factor: number) {
    const { kernels, dim, size } = vectors;
    this.storage = storage;
    this.stride = Math.ceil(dim / GROUP[storage]) * GROUP[storage];
    this.address = kernels.allocate(size * this.stride * (storage === 'int8' ? 1 : 2));
    this.scales = storage === 'int8' ? kernels.allocate(size * 4) : 0;
    this.#vectors = vectors;
    this.#factor = factor;
  }

  /** `largestNorm`: of the rows, so that no number of theirs is larger. @throws LookalikeError `cancelled` */
  static async encode(
    storage: CodedStorage,
    vectors: Vectors,
    largestNorm: number,
    signal?: AbortSignal,
  ): Promise<RowCodes> {
    const { size } = vectors;
    // Of what an f32 can hold; beyond it halves lose their small numbers, which rows of such a length do not miss.
    const exponent = Math.min(Math.max(14 - Math.ceil(Math.log2(largestNorm || 1)), -126), 126);
    const codes = new RowCodes(storage, vectors, 2 ** exponent);
    for (let row = 0; row < size; row++) {
      if (row % PAUSE_ROWS === PAUSE_ROWS - 1) await new Promise((resume) => setImmediate(resume));
      throwIfAborted(signal);
      codes.#encodeRow(row);
    }
    return codes;
  }

  #encodeRow(row: number): void {
    const { kernels, address, dim } = this.#vectors;
    const from = address + row * dim * 4;
    if (this.storage === 'float16') {
      kernels.run.encodeHalf(from, dim, this.#factor, this.address + row * this.stride * 2, this.stride);
    } else {
      const scale = kernels.run.encodeInt8(from, dim, this.address + row * this.stride, this.stride);
      kernels.f32(this.scales + row * 4, 1)[0] = scale;
    }
  }

  query(query: Float32Array): CodedQuery {
    const largest = query.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    if (this.storage === 'float16') {
      // Below 1 and then times 2^112, which takes back how the kernel reads a half.
      const exponent = Math.ceil(Math.log2(largest || 1));
      const values = new Float32Array(this.stride);
      for (const [i, value] of query.entries()) values[i] = value * 2 ** -exponent * 2 ** 112;
      return { values, scale: 2 ** exponent / this.#factor };
    }
    // As fine as sums of 32 bits allow.
    const finest = Math.min(32_767, Math.floor((2 ** 31 - 1) / (127 * query.length)));
    const values = new Int16Array(this.stride);
    if (largest === 0) return { values, scale: 0 };
    for (const [i, value] of query.entries()) values[i] = Math.round((value / largest) * finest);
    return { values, scale: largest / finest };
  }
}
