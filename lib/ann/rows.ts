import type { Metric, SearchOptions } from '../../contracts/ann.ts';
import { checkBitmap } from './bitmap.ts';
import { throwIfAborted } from './pause.ts';
import { checkSearch } from './spec.ts';
import { checkVector, prepared } from './vectors.ts';
import type { Vectors } from './vectors.ts';

export { throwIfAborted };

/** Rows and their scores, best first. */
export interface Found {
  rows: Int32Array;
  scores: Float32Array;
}

/** The f32 rows of an index: what every kind rescores with, and the oracle of them all. */
export class Rows {
  readonly vectors: Vectors;
  readonly metric: Metric;

  constructor(vectors: Vectors, metric: Metric) {
    this.vectors = vectors;
    this.metric = metric;
  }

  /** 0 inner product, 1 squared L2: the number by which kernels know the metric. */
  get kernelMetric(): number {
    return this.metric === 'l2' ? 1 : 0;
  }

  /** The checked query as the metric compares it. */
  ready(query: Float32Array, options: SearchOptions): Float32Array {
    checkSearch(options);
    checkBitmap(options.allowed, this.vectors.size);
    checkVector(query, this.vectors.dim, 'the query');
    throwIfAborted(options.signal);
    return prepared(query, this.metric);
  }

  /** The `k` best rows by comparing the prepared query with every allowed row. */
  scan(query: Float32Array, { k, allowed }: Pick<SearchOptions, 'k' | 'allowed'>): Found {
    const { kernels, address, dim, size } = this.vectors;
    const room = Math.min(k, size);
    if (room === 0) return { rows: new Int32Array(), scores: new Float32Array() };
    return kernels.scratch(() => {
      const at = kernels.place(query);
      const bitmap = allowed === undefined ? 0 : kernels.place(allowed.subarray(0, Math.ceil(size / 32)));
      return this.#best(room, (scores, rows) =>
        kernels.run.scanRows(address, dim, 0, size, at, this.kernelMetric, bitmap, room, scores, rows, 0),
      );
    });
  }

  /** The `k` best of the candidates, each named once: their scores are those that a scan gives. */
  rescore(query: Float32Array, candidates: Int32Array, k: number): Found {
    const { kernels, address, dim } = this.vectors;
    const room = Math.min(k, candidates.length);
    if (room === 0) return { rows: new Int32Array(), scores: new Float32Array() };
    return kernels.scratch(() => {
      const at = kernels.place(query);
      const list = kernels.place(candidates);
      return this.#best(room, (scores, rows) =>
        kernels.run.scanList(address, dim, list, candidates.length, at, this.kernelMetric, room, scores, rows, 0),
      );
    });
  }

  /** A copy of a stored row. */
  vector(row: number): Float32Array {
    const { data, dim } = this.vectors;
    return new Float32Array(data.subarray(row * dim, (row + 1) * dim));
  }

  /** The rows as little-endian bytes, without a copy. */
  bytes(): Uint8Array {
    const { data } = this.vectors;
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }

  /** Runs a kernel that fills a heap of `room` and returns how many it holds; copies them out, sorted. */
  #best(room: number, fill: (scores: number, rows: number) => number): Found {
    const { kernels } = this.vectors;
    const scores = kernels.allocate(room * 4);
    const rows = kernels.allocate(room * 4);
    const count = fill(scores, rows);
    kernels.run.heapSort(scores, rows, count);
    return { rows: new Int32Array(kernels.i32(rows, count)), scores: new Float32Array(kernels.f32(scores, count)) };
  }
}
