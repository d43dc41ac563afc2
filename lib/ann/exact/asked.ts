import type { ProductStep } from '../../../contracts/ann.ts';
import type { Found, Rows } from '../rows.ts';
import { readHeap } from './found.ts';
import { margin } from './margin.ts';
import type { Norms } from './norms.ts';
import type { Screen } from './screen.ts';

/** Where in a header (kernels/assembly/asked.ts) the numbers of 32 bits begin, and how many there are. */
const WORDS_AT = 16;
const WORDS = 17;

/** Room for a slice of queries that is compared with rows, block by block; used for slice after slice. */
export class AskedSlice {
  readonly #rows: Rows;
  readonly #norms: Norms;
  readonly #screen: Screen | undefined;
  readonly #width: number;
  readonly #k: number;
  readonly #at: Record<'header' | 'block' | 'queries' | 'scores' | 'rows' | 'sizes' | 'needs' | 'margins', number>;
  readonly #coded: Record<'codes' | 'scales' | 'margins', number>;

  /** Within scratch that stays open as long. */
  constructor(rows: Rows, norms: Norms, screen: Screen | undefined, width: number, k: number, blockRows: number) {
    const { kernels, dim } = rows.vectors;
    this.#rows = rows;
    this.#norms = norms;
    this.#screen = screen;
    this.#width = width;
    this.#k = k;
    const room = (bytes: number): number => kernels.allocate(bytes);
    this.#at = {
      ...{ header: room(WORDS_AT + WORDS * 4), block: room(blockRows * width * 4), queries: room(width * dim * 4) },
      ...{ scores: room(width * k * 4), rows: room(width * k * 4), sizes: room(width * 4) },
      ...{ needs: room(width * 4), margins: room(width * 8) },
    };
    this.#coded = { codes: 0, scales: 0, margins: 0 };
    if (screen !== undefined) {
      this.#coded = { codes: room(width * dim), scales: room(width * 4), margins: room(width * 8) };
    }
  }

  /** Begins with prepared queries. `bars`: address of f32, one each, shared with whoever asks the same. */
  begin(queries: Float32Array, bars: number): void {
    const { kernels, address, dim } = this.#rows.vectors;
    const at = this.#at;
    const coded = this.#coded;
    const count = queries.length / dim;
    const width = this.#width;
    kernels.f32(at.queries, width * dim).fill(0, queries.length);
    kernels.f32(at.queries, queries.length).set(queries);
    kernels.i32(at.sizes, width).fill(0);
    kernels
      .i32(at.header + WORDS_AT, WORDS)
      .set([
        ...[address, dim, this.#rows.kernelMetric, count, width, at.queries],
        ...[this.#k, at.scores, at.rows, at.sizes, bars, at.needs],
        ...[at.margins, coded.margins, coded.codes, coded.scales, 0],
      ]);
    new Float64Array(kernels.memory.buffer, at.margins, count).set(this.#margins(queries));
    const screen = this.#screen;
    if (screen !== undefined) kernels.run.screenQueries(at.header, screen.centre, screen.shrink, screen.underflow);
  }

  /** Compares with `numRows` rows from `data` on, by products in f32. `bias` as kernels take it; rows named by `list`, if not 0. */
  step(data: number, numRows: number, first: number, list: number, bias: number): ProductStep {
    const { header, block, queries } = this.#at;
    const then = { name: 'selectBlock', args: [block, numRows, header, first, list, bias] };
    return { rows: data, numRows, queries, numQueries: this.#width, out: block, then };
  }

  /** The same by products of bytes, for slices with a screen. */
  codedStep(codes: number, numRows: number, first: number, list: number, facts: number): ProductStep {
    const { header, block } = this.#at;
    const then = { name: 'selectScreened', args: [block, numRows, header, first, list, facts] };
    const queries = this.#coded.codes;
    return { format: 'bytes', rows: codes, numRows, queries, numQueries: this.#width, out: block, then };
  }

  /** Pairs of a query and a row compared in f32 since the beginning. */
  get numCompared(): number {
    return this.#rows.vectors.kernels.u32(this.#at.header + WORDS_AT + (WORDS - 1) * 4, 1)[0]!;
  }

  /** The best rows of the slice's query `i`, best first; once. */
  read(i: number): Found {
    const { kernels } = this.#rows.vectors;
    const { scores, rows, sizes } = this.#at;
    const heap = i * this.#k * 4;
    return readHeap(kernels, kernels.i32(sizes + i * 4, 1)[0]!, scores + heap, rows + heap);
  }

  #margins(queries: Float32Array): Float64Array {
    const { dim } = this.#rows.vectors;
    const isL2 = this.#rows.metric === 'l2';
    return Float64Array.from({ length: queries.length / dim }, (_, i) => {
      let sum = 0;
      for (let j = i * dim; j < (i + 1) * dim; j++) sum += queries[j]! ** 2;
      return margin(dim, isL2, Math.sqrt(sum), this.#norms.largest) - (isL2 ? 0.5 * sum : 0);
    });
  }
}
