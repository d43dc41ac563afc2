import type { KernelCall, KernelThreads } from '../../../contracts/ann.ts';
import type { Found, Rows } from '../rows.ts';
import type { RowCodes } from './codes.ts';
import { merged, readHeap } from './found.ts';

/** A query where the kernels read it. */
export interface PlacedQuery {
  address: number;
  scale: number;
}

/** What a scan goes over: the rows themselves, or codes of them with `bias`, what L2 takes off each row's product. */
export class Scan {
  readonly #rows: Rows;
  readonly #codes: RowCodes | undefined;
  readonly #bias: number;

  constructor(rows: Rows, codes?: RowCodes, bias = 0) {
    this.#rows = rows;
    this.#codes = codes;
    this.#bias = bias;
  }

  /** Read to answer one query. */
  get bytes(): number {
    const { dim, size } = this.#rows.vectors;
    if (this.#codes === undefined) return size * dim * 4;
    return size * this.#codes.stride * (this.#codes.storage === 'int8' ? 1 : 2);
  }

  /** Room that a query takes on threads, its heaps of `room` in all `pieces`: no piece has more rows than it has. */
  roomBytes(room: number, pieces: number): number {
    const { dim, size } = this.#rows.vectors;
    return 8 * Math.min(room * pieces, size) + 4 * dim;
  }

  place(query: Float32Array): PlacedQuery {
    const { kernels } = this.#rows.vectors;
    if (this.#codes === undefined) return { address: kernels.place(query), scale: 1 };
    const { values, scale } = this.#codes.query(query);
    return { address: kernels.place(values), scale };
  }

  /** Fills a heap of `room` with the best of rows [from, to); the kernel answers how many they are. */
  call(
    { address, scale }: PlacedQuery,
    [from, to]: readonly [number, number],
    allowed: number,
    room: number,
    scores: number,
    rows: number,
  ): KernelCall {
    const { vectors, kernelMetric } = this.#rows;
    const heap = [room, scores, rows, 0];
    if (this.#codes === undefined) {
      const args = [vectors.address, vectors.dim, from, to, address, kernelMetric, allowed, ...heap];
      return { name: 'scanRows', args };
    }
    const { storage, stride, scales, address: codes } = this.#codes;
    const kind = storage === 'int8' ? 1 : 0;
    return {
      name: 'scanCodes',
      args: [kind, codes, stride, scales, this.#bias, from, to, address, scale, allowed, ...heap],
    };
  }

  /** On the caller's thread. */
  here(query: Float32Array, room: number, allowed: Uint32Array | undefined): Found {
    const { kernels, size } = this.#rows.vectors;
    return kernels.scratch(() => {
      const bitmap = allowed === undefined ? 0 : kernels.place(allowed.subarray(0, Math.ceil(size / 32)));
      const [scores, rows] = [kernels.allocate(room * 4), kernels.allocate(room * 4)];
      const { name, args } = this.call(this.place(query), [0, size], bitmap, room, scores, rows);
      const kernel = kernels.run[name as 'scanRows' | 'scanCodes'];
      return readHeap(kernels, kernel(...args), scores, rows);
    });
  }

  /**
   * On threads: each query's rows cut into `pieces`, so that one query alone keeps all of them busy.
   * @throws LookalikeError `cancelled`
   */
  onThreads(
    queries: readonly Float32Array[],
    room: number,
    allowed: Uint32Array | undefined,
    { threads, pieces, signal }: { threads: KernelThreads; pieces: number; signal?: AbortSignal },
  ): Promise<Found[]> {
    const { kernels, size } = this.#rows.vectors;
    const ranges = cut(size, pieces);
    return kernels.longScratch(async () => {
      const bitmap = allowed === undefined ? 0 : kernels.place(allowed.subarray(0, Math.ceil(size / 32)));
      const heaps: { scores: number; rows: number }[] = [];
      const calls = queries.flatMap((query) => {
        const placed = this.place(query);
        return ranges.map((range) => {
          const most = Math.min(room, range[1] - range[0]);
          const heap = { scores: kernels.allocate(most * 4), rows: kernels.allocate(most * 4) };
          heaps.push(heap);
          return this.call(placed, range, bitmap, most, heap.scores, heap.rows);
        });
      });
      const counts = await threads.run(kernels.memory, calls, signal);
      const parts = heaps.map(({ scores, rows }, i) => readHeap(kernels, counts[i]!, scores, rows));
      return queries.map((_, i) => merged(parts.slice(i * ranges.length, (i + 1) * ranges.length), room));
    });
  }
}

/** Ranges of [0, size) that begin at whole words of a bitmap. */
function cut(size: number, pieces: number): [number, number][] {
  const step = Math.max(32, Math.ceil(size / pieces / 32) * 32);
  const ranges: [number, number][] = [];
  for (let from = 0; from < size; from += step) ranges.push([from, Math.min(from + step, size)]);
  return ranges;
}
