import type { AnnIndex, AnnMachine, IndexSpec, Neighbours, SearchOptions } from '../../contracts/ann.ts';
import { batchShape } from './batch-room.ts';
import { countBits } from './bitmap.ts';
import { encodeIndexFile } from './index-file.ts';
import { inLanes } from './lanes.ts';
import type { KernelName } from './kernels/wasm-module.ts';
import { Rows } from './rows.ts';
import type { Found } from './rows.ts';
import { runCalls } from './run-calls.ts';
import { numQueries, searchEach } from './search-each.ts';
import type { Vectors } from './vectors.ts';

/** What a kind built beside the rows, and the kernel that answers from it. */
export interface Structure {
  /**
   * Called as (address, queries, count, allowed, k, effort, scratch, scores, rows, info): queries f32 [count, dim] as the
   * metric compares them, `allowed` a bitmap or 0; it fills f32 scores and i32 rows [count, k], best first, and i32 info
   * [count, 2]: how many were found, and how many rows were compared.
   */
  readonly kernel: KernelName;
  /** Where the kernel finds the structure. */
  readonly address: number;
  readonly plan: Neighbours['plan'];
  /** How hard to look; `undefined` where comparing with all `numAllowed` rows costs no more. */
  effort(options: SearchOptions, numAllowed: number): number | undefined;
  scratchBytes(k: number, effort: number, count: number): number;
  /** Named parts of the index file, beside the rows. */
  sections(): Record<string, Uint8Array>;
}

/** What a kernel found, and how many rows it compared. */
type Counted = Found & { visited: number };

/** Queries that one call of a kernel answers at most: enough for its cost to vanish, few enough for a fair share. */
const BLOCK_QUERIES = 32;
/** Calls under way for each thread: while one runs, the answers of another are read and its next queries laid out. */
const LANES_PER_THREAD = 2;

/** Rows with a structure that a kernel searches. An answer is never shorter than `k` and the filter allow. */
export class StructuredIndex<S extends IndexSpec> implements AnnIndex {
  readonly spec: S;
  readonly #rows: Rows;
  readonly #structure: Structure;
  readonly #machine: AnnMachine;

  constructor(spec: S, vectors: Vectors, structure: Structure, machine: AnnMachine) {
    this.spec = spec;
    this.#rows = new Rows(vectors, spec.metric);
    this.#structure = structure;
    this.#machine = machine;
  }

  get dim(): number {
    return this.#rows.vectors.dim;
  }
  get size(): number {
    return this.#rows.vectors.size;
  }
  get memoryBytes(): number {
    return this.#rows.vectors.kernels.usedBytes;
  }

  search(query: Float32Array, options: SearchOptions): Neighbours {
    const ready = this.#rows.ready(query, options);
    const { wanted, numAllowed, effort } = this.#plan(options);
    if (effort === undefined) return this.#scan(ready, options, numAllowed);
    const { kernels } = this.#rows.vectors;
    const { kernel, address, plan } = this.#structure;
    const found = kernels.scratch(() => {
      const room = this.#room(1, wanted, effort);
      const args = [kernels.place(ready), 1, this.#placed(options.allowed), wanted, effort, ...room.args];
      kernels.run[kernel](address, ...args);
      return { ...room.answer(0), plan };
    });
    return found.rows.length < wanted ? this.#scan(ready, options, numAllowed) : found;
  }

  async searchBatch(queries: Float32Array, options: SearchOptions): Promise<Neighbours[]> {
    const count = numQueries(queries, this.dim);
    if (count === 0) return [];
    const one = (i: number): Float32Array => queries.subarray(i * this.dim, (i + 1) * this.dim);
    const ready = Array.from({ length: count }, (_, i) => this.#rows.ready(one(i), options));
    const { wanted, effort } = this.#plan(options);
    if (effort === undefined) return searchEach(this, queries, options);
    const answers = await this.#rows.vectors.kernels.longScratch(() => this.#inLanes(ready, wanted, effort, options));
    return answers.map((found, i) =>
      found.rows.length < wanted
        ? this.search(one(i), { ...options, exact: true })
        : { ...found, plan: this.#structure.plan },
    );
  }

  /** Several calls at once, each with room of its own, which does not grow with the batch. */
  async #inLanes(
    ready: readonly Float32Array[],
    wanted: number,
    effort: number,
    options: SearchOptions,
  ): Promise<Counted[]> {
    const { kernels, dim } = this.#rows.vectors;
    const { kernel, address } = this.#structure;
    const allowed = this.#placed(options.allowed);
    const { numCalls, perCall } = this.#batchShape(wanted, effort);
    const count = ready.length;
    const size = Math.min(perCall, Math.ceil(count / numCalls));
    const answers = Array<Counted>(count);
    const lanes = Array.from({ length: Math.min(numCalls, Math.ceil(count / size)) }, () => ({
      queries: kernels.allocate(size * dim * 4),
      room: this.#room(size, wanted, effort),
    }));
    await inLanes(lanes, { count, size }, async ({ queries, room }, from, to) => {
      const place = kernels.f32(queries, size * dim);
      for (let i = from; i < to; i++) place.set(ready[i]!, (i - from) * dim);
      const args = [address, queries, to - from, allowed, wanted, effort, ...room.args];
      await runCalls(kernels, this.#machine, [{ name: kernel, args }], options.signal);
      for (let i = from; i < to; i++) answers[i] = room.answer(i - from);
    });
    return answers;
  }

  #batchShape(k: number, effort: number): { numCalls: number; perCall: number } {
    const one = this.#structure.scratchBytes(k, effort, 1);
    const more = this.#structure.scratchBytes(k, effort, 2) - one;
    const query = more + this.dim * 4 + k * 8 + 8;
    const { threads } = this.#machine;
    const maxCalls = threads === undefined ? 1 : threads.size * LANES_PER_THREAD;
    return batchShape({ call: one - more, query }, maxCalls, BLOCK_QUERIES);
  }

  /** Scratch and results of a call for `count` queries. */
  #room(count: number, k: number, effort: number): { args: number[]; answer: (i: number) => Counted } {
    const { kernels } = this.#rows.vectors;
    const scratch = kernels.allocate(this.#structure.scratchBytes(k, effort, count));
    const scores = kernels.allocate(count * k * 4);
    const rows = kernels.allocate(count * k * 4);
    const info = kernels.allocate(count * 8);
    return {
      args: [scratch, scores, rows, info],
      answer: (i) => {
        const [found, visited] = kernels.i32(info + i * 8, 2) as unknown as [number, number];
        return {
          rows: new Int32Array(kernels.i32(rows + i * k * 4, found)),
          scores: new Float32Array(kernels.f32(scores + i * k * 4, found)),
          visited,
        };
      },
    };
  }

  #plan(options: SearchOptions): { wanted: number; numAllowed: number; effort: number | undefined } {
    const numAllowed = options.allowed === undefined ? this.size : countBits(options.allowed, this.size);
    const wanted = Math.min(options.k, numAllowed);
    const isScan = options.exact === true || wanted === 0 || wanted === numAllowed;
    return { wanted, numAllowed, effort: isScan ? undefined : this.#structure.effort(options, numAllowed) };
  }

  #scan(ready: Float32Array, options: SearchOptions, numAllowed: number): Neighbours {
    return { ...this.#rows.scan(ready, options), plan: 'scan', visited: numAllowed };
  }

  #placed(allowed: Uint32Array | undefined): number {
    if (allowed === undefined) return 0;
    return this.#rows.vectors.kernels.place(allowed.subarray(0, Math.ceil(this.size / 32)));
  }

  vector(row: number): Float32Array {
    return this.#rows.vector(row);
  }

  serialise(): Promise<Uint8Array[]> {
    return encodeIndexFile(this, { vectors: this.#rows.bytes(), ...this.#structure.sections() });
  }
}
