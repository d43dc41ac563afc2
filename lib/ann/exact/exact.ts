import type { AnnIndex, AnnMachine, ExactSpec, Neighbours, SearchOptions } from '../../../contracts/ann.ts';
import { ROW_STORAGES } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { checkBitmap, countBits } from '../bitmap.ts';
import { encodeIndexFile } from '../index-file.ts';
import type { IndexKindModule } from '../kind.ts';
import { Rows } from '../rows.ts';
import type { Found } from '../rows.ts';
import { numQueries, searchEach } from '../search-each.ts';
import { checkInteger, checkSearch } from '../spec.ts';
import type { Vectors } from '../vectors.ts';
import { searchBlocks } from './block-search.ts';
import { RowCodes } from './codes.ts';
import type { CodedStorage } from './codes.ts';
import { measureNorms } from './norms.ts';
import type { Norms } from './norms.ts';
import { Scan } from './scan-calls.ts';
import { screenRows } from './screen.ts';
import type { Screen } from './screen.ts';

/** With coarser rows, candidates compared again for each answer: enough for recall@10 of 0.999 and more on embeddings. */
const RESCORE: Record<CodedStorage, number> = { float16: 2, int8: 4 };
/** Fewer queries than these are sooner compared one by one than by products of matrices. */
const BLOCK_QUERIES = 16;
/** Heaps of more candidates cost more than products save. */
const MAX_BLOCK_K = 4096;
/** Bytes of rows from which on threads are sooner than the caller, for one query and for a batch. */
const THREADS_BYTES = 8 << 20;
/** Queries on threads at once, and what room for their answers they may take. */
const THREADS_QUERIES = 256;
const MAX_THREADS_BYTES = 32 << 20;

/** What is derived from the rows beside them. */
interface Derived {
  norms: Norms;
  codes: RowCodes | undefined;
  screen: Screen | undefined;
}

/**
 * Brute force: every allowed row is compared. With coarser storage the codes choose `rescore` * k candidates, which are
 * compared again as f32; `rescore` 0 answers with the codes' own, approximate scores. On a machine that has a block product,
 * rows of full precision are held as bytes too (dim + 16 bytes each, in `memoryBytes`), which spares batches most comparisons.
 */
export class ExactIndex implements AnnIndex {
  readonly spec: ExactSpec;
  readonly #rows: Rows;
  readonly #derived: Derived;
  readonly #machine: AnnMachine;
  readonly memoryBytes: number;

  constructor(spec: ExactSpec, vectors: Vectors, derived: Derived, machine: AnnMachine) {
    this.spec = spec;
    this.#rows = new Rows(vectors, spec.metric);
    this.#derived = derived;
    this.#machine = machine;
    this.memoryBytes = vectors.kernels.usedBytes;
  }

  get dim(): number {
    return this.#rows.vectors.dim;
  }
  get size(): number {
    return this.#rows.vectors.size;
  }
  get #codes(): RowCodes | undefined {
    return this.#derived.codes;
  }

  search(query: Float32Array, options: SearchOptions): Neighbours {
    const ready = this.#rows.ready(query, options);
    if (!this.#usesCodes(options)) return { ...this.#rows.scan(ready, options), plan: 'scan' };
    return this.#fromCodes(ready, this.#scanCodes.here(ready, this.#room(options), options.allowed), options);
  }

  /**
   * Many queries over f32 rows go through products of matrices; else threads take a query each, or all of them a part of the
   * rows where there are fewer queries than threads.
   */
  async searchBatch(queries: Float32Array, options: SearchOptions): Promise<Neighbours[]> {
    const count = numQueries(queries, this.dim);
    checkSearch(options);
    checkBitmap(options.allowed, this.size);
    const best = Math.min(options.k, this.size);
    const usesCodes = this.#usesCodes(options);
    if (!usesCodes && count >= BLOCK_QUERIES && best > 0 && best <= MAX_BLOCK_K) {
      return this.#inBlocks(queries, count, options);
    }
    const scan = usesCodes ? this.#scanCodes : new Scan(this.#rows);
    const { threads } = this.#machine;
    if (threads === undefined || best === 0 || count * scan.bytes < THREADS_BYTES) {
      return searchEach(this, queries, options);
    }
    const room = usesCodes ? this.#room(options) : best;
    // A thread that is held up by other work leaves its share to the others.
    const pieces = count < threads.size ? 2 * threads.size : 1;
    const fitting = Math.floor(MAX_THREADS_BYTES / scan.roomBytes(room, pieces));
    const atOnce = Math.max(1, Math.min(THREADS_QUERIES, fitting));
    const answers: Neighbours[] = [];
    for (let from = 0; from < count; from += atOnce) {
      const part = Array.from({ length: Math.min(atOnce, count - from) }, (_, i) =>
        this.#rows.ready(this.#one(queries, from + i), options),
      );
      const found = await scan.onThreads(part, room, options.allowed, { threads, pieces, signal: options.signal });
      for (const [i, one] of found.entries()) {
        answers.push(usesCodes ? this.#fromCodes(part[i]!, one, options) : { ...one, plan: 'scan' });
      }
    }
    return answers;
  }

  async #inBlocks(queries: Float32Array, count: number, options: SearchOptions): Promise<Neighbours[]> {
    const ready = new Float32Array(queries.length);
    for (let i = 0; i < count; i++) ready.set(this.#rows.ready(this.#one(queries, i), options), i * this.dim);
    const found = await searchBlocks(this.#rows, this.#derived, this.#machine, ready, options);
    return found.map((one) => ({ ...one, plan: 'scan' }));
  }

  /** What the candidates of the codes come to. */
  #fromCodes(query: Float32Array, found: Found, options: SearchOptions): Neighbours {
    if (this.#rescore(options) > 0) return { ...this.#rows.rescore(query, found.rows, options.k), plan: 'codes' };
    if (this.spec.metric !== 'l2') return { ...found, plan: 'codes' };
    // Codes are ordered by half of it and without the query's norm.
    const norm = query.reduce((sum, value) => sum + value * value, 0);
    return { rows: found.rows, scores: found.scores.map((score) => Math.min(2 * score - norm, 0)), plan: 'codes' };
  }

  /** Where no more rows are allowed than would be compared again, all of them are compared at once. */
  #usesCodes({ exact, allowed, ...options }: SearchOptions): boolean {
    if (this.#codes === undefined || exact === true) return false;
    const numAllowed = allowed === undefined ? this.size : countBits(allowed, this.size);
    return numAllowed > this.#room(options);
  }

  get #scanCodes(): Scan {
    return new Scan(this.#rows, this.#codes, this.#derived.norms.halves);
  }

  #rescore(options: SearchOptions): number {
    return options.rescore ?? this.spec.rescore ?? (this.#codes === undefined ? 0 : RESCORE[this.#codes.storage]);
  }

  /** Candidates that the codes choose. */
  #room(options: SearchOptions): number {
    return Math.min(options.k * Math.max(this.#rescore(options), 1), this.size);
  }

  #one(queries: Float32Array, i: number): Float32Array {
    return queries.subarray(i * this.dim, (i + 1) * this.dim);
  }

  vector(row: number): Float32Array {
    return this.#rows.vector(row);
  }

  serialise(): Promise<Uint8Array[]> {
    return encodeIndexFile(this, { vectors: this.#rows.bytes() });
  }
}

/** Norms and codes follow from the rows: a file holds the rows only. */
async function openExact(
  spec: ExactSpec,
  vectors: Vectors,
  machine: AnnMachine,
  signal?: AbortSignal,
): Promise<ExactIndex> {
  const { metric, storage = 'float32' } = spec;
  const norms = await measureNorms(vectors, metric === 'l2', signal);
  const codes = storage === 'float32' ? undefined : await RowCodes.encode(storage, vectors, norms.largest, signal);
  const isScreened = codes === undefined && machine.blockProduct !== undefined;
  const screen = isScreened ? await screenRows(vectors, metric, norms.largest, machine, signal) : undefined;
  return new ExactIndex(spec, vectors, { norms, codes, screen }, machine);
}

function check({ storage, rescore }: ExactSpec): void {
  if (storage !== undefined && !ROW_STORAGES.includes(storage)) {
    const expected = ROW_STORAGES.join(', ');
    throw new LookalikeError('invalidInput', `Expected \`storage\` to be one of ${expected}, got ${String(storage)}.`);
  }
  if (rescore !== undefined) checkInteger('rescore', rescore, 0, 1000);
}

export const exact: IndexKindModule<ExactSpec> = {
  bounds: {},
  check,
  async build(spec, vectors, { machine, signal, onProgress }) {
    const index = await openExact(spec, vectors, machine, signal);
    onProgress?.(vectors.size);
    return index;
  },
  load: (spec, vectors, { machine }) => openExact(spec, vectors, machine),
};
