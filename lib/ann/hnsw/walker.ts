import type { AnnMachine } from '../../../contracts/ann.ts';
import { batchShape } from '../batch-room.ts';
import { throwIfAborted } from '../rows.ts';
import type { Found } from '../rows.ts';
import type { Graph } from './graph.ts';

/** How to walk. */
export interface Walk {
  k: number;
  ef: number;
  /** How many of the best are compared in f32; at least `k`, at most `ef`. */
  again: number;
  allowed: Uint32Array | undefined;
  numAllowed: number;
}

/** Queries of a batch between two pauses at most: in one call without threads, and in memory at once with them. */
const PAUSE_QUERIES = 16;
const BATCH_QUERIES = 1024;
/** Calls for each thread in a batch, so that none waits long for the last. */
const CALLS_PER_THREAD = 4;

interface Job {
  /** f32 [numQueries, dim]. */
  queries: number;
  /** A kernel's arguments for the queries [from, to). */
  args(from: number, to: number, scratch: number): number[];
  take(i: number): Found;
}

/** Walks a graph for prepared queries, on the caller's thread or on all. Few may be found: what no link leads to is not. */
export class Walker {
  readonly #graph: Graph;
  readonly #machine: AnnMachine;

  constructor(graph: Graph, machine: AnnMachine) {
    this.#graph = graph;
    this.#machine = machine;
  }

  one(query: Float32Array, walk: Walk): Found {
    const { kernels } = this.#graph.vectors;
    return kernels.scratch(() => {
      const job = this.#place([query], walk);
      kernels.run.hnswSearch(...job.args(0, 1, this.#room(walk)));
      return job.take(0);
    });
  }

  async many(queries: readonly Float32Array[], walk: Walk, signal: AbortSignal | undefined): Promise<Found[]> {
    const { threads } = this.#machine;
    const found: Found[] = [];
    const { numCalls, perCall } = this.#batchShape(walk, queries.length);
    const step = numCalls * perCall;
    for (let from = 0; from < queries.length; from += step) {
      throwIfAborted(signal);
      const some = queries.slice(from, from + step);
      await this.#graph.vectors.kernels.longScratch(async () => {
        const job = this.#place(some, walk);
        if (threads === undefined) await this.#here(job, some.length, walk);
        else await this.#onThreads(job, some.length, Math.ceil(some.length / numCalls), walk, signal);
        for (let i = 0; i < some.length; i++) found.push(job.take(i));
      });
    }
    return found;
  }

  async #here(job: Job, count: number, walk: Walk): Promise<void> {
    this.#graph.vectors.kernels.run.hnswSearch(...job.args(0, count, this.#room(walk)));
    await new Promise((resume) => setImmediate(resume));
  }

  async #onThreads(
    job: Job,
    count: number,
    perCall: number,
    walk: Walk,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { kernels } = this.#graph.vectors;
    const threads = this.#machine.threads!;
    const calls = [];
    for (let from = 0; from < count; from += perCall) {
      const to = Math.min(from + perCall, count);
      calls.push({ name: 'hnswSearch', args: job.args(from, to, this.#room(walk)) });
    }
    await threads.run(kernels.memory, calls, signal);
  }

  #batchShape(walk: Walk, count: number): { numCalls: number; perCall: number } {
    const bytes = { call: this.#roomBytes(walk), query: this.#graph.vectors.dim * 4 + walk.k * 8 + 4 };
    const { threads } = this.#machine;
    if (threads === undefined) return batchShape(bytes, 1, PAUSE_QUERIES);
    const maxCalls = threads.size * CALLS_PER_THREAD;
    return batchShape(bytes, maxCalls, Math.ceil(Math.min(count, BATCH_QUERIES) / maxCalls));
  }

  #roomBytes({ ef }: Walk): number {
    return this.#graph.vectors.kernels.run.hnswSearchBytes(this.#graph.head, ef) >>> 0;
  }

  #room(walk: Walk): number {
    return this.#graph.vectors.kernels.allocate(this.#roomBytes(walk));
  }

  #place(queries: readonly Float32Array[], { k, ef, again, allowed }: Walk): Job {
    const { head, vectors } = this.#graph;
    const { kernels, dim, size } = vectors;
    const count = queries.length;
    const at = kernels.allocate(count * dim * 4);
    const bitmap = allowed === undefined ? 0 : kernels.place(allowed.subarray(0, Math.ceil(size / 32)));
    const scores = kernels.allocate(count * k * 4);
    const rows = kernels.allocate(count * k * 4);
    const counts = kernels.allocate(count * 4);
    for (const [i, query] of queries.entries()) kernels.f32(at + i * dim * 4, dim).set(query);
    return {
      queries: at,
      args: (from, to, scratch) => [head, at, from, to, bitmap, ef, again, k, scores, rows, counts, scratch],
      take(i) {
        const numFound = kernels.i32(counts + i * 4, 1)[0]!;
        return {
          rows: new Int32Array(kernels.i32(rows + i * k * 4, numFound)),
          scores: new Float32Array(kernels.f32(scores + i * k * 4, numFound)),
        };
      },
    };
  }
}
