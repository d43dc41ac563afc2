import type { AnnIndex, AnnMachine, HnswSpec, Neighbours, SearchOptions } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { countBits } from '../bitmap.ts';
import { encodeIndexFile } from '../index-file.ts';
import type { IndexKindModule } from '../kind.ts';
import { Rows, throwIfAborted } from '../rows.ts';
import type { Found } from '../rows.ts';
import { numQueries, searchEach } from '../search-each.ts';
import type { Vectors } from '../vectors.ts';
import { buildGraph } from './build.ts';
import { storageOf } from './graph.ts';
import type { Graph } from './graph.ts';
import { graphSections, loadGraph } from './load.ts';
import { widerThan, widthFor } from './plan.ts';
import { Walker } from './walker.ts';
import type { Walk } from './walker.ts';

/** With int8, how many times k of the best of a walk are compared again in f32, unless the search says. */
const RESCORE = 3;

/**
 * Hierarchical navigable small world graph (arXiv 1603.09320) over the rows in memory. A walk is one kernel call; the scores
 * are those that a scan gives.
 */
export class HnswIndex implements AnnIndex {
  readonly spec: HnswSpec;
  readonly #rows: Rows;
  readonly #graph: Graph | undefined;
  readonly #walker: Walker | undefined;

  /** `graph`: absent when there are no rows. */
  constructor(spec: HnswSpec, vectors: Vectors, graph: Graph | undefined, machine: AnnMachine) {
    this.spec = spec;
    this.#rows = new Rows(vectors, spec.metric);
    this.#graph = graph;
    this.#walker = graph === undefined ? undefined : new Walker(graph, machine);
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
    const walk = this.#walkFor(options);
    if (walk === undefined) return { ...this.#rows.scan(ready, options), plan: 'scan' };
    return this.#enough(ready, this.#walker!.one(ready, walk), walk, options);
  }

  async searchBatch(queries: Float32Array, options: SearchOptions): Promise<Neighbours[]> {
    const { dim } = this;
    const count = numQueries(queries, dim);
    const ready = Array.from({ length: count }, (_, i) =>
      this.#rows.ready(queries.subarray(i * dim, (i + 1) * dim), options),
    );
    const walk = count === 0 ? undefined : this.#walkFor(options);
    if (walk === undefined) return searchEach(this, queries, options);
    const answers: Neighbours[] = [];
    for (const [i, found] of (await this.#walker!.many(ready, walk, options.signal)).entries()) {
      if (found.rows.length < walk.k) {
        await new Promise((resume) => setImmediate(resume));
        throwIfAborted(options.signal);
      }
      answers.push(this.#enough(ready[i]!, found, walk, options));
    }
    return answers;
  }

  /** How to walk for the options; `undefined` where comparing with all allowed rows is as quick. */
  #walkFor(options: SearchOptions): Walk | undefined {
    const { allowed } = options;
    if (this.#walker === undefined || options.exact === true) return undefined;
    const numAllowed = allowed === undefined ? this.size : countBits(allowed, this.size);
    const k = Math.min(options.k, numAllowed);
    // A walk keeps as many as it must answer at least.
    const ef = widthFor(k, Math.max(k, options.efSearch ?? this.spec.efSearch), numAllowed, this.size);
    if (ef === undefined) return undefined;
    const again = storageOf(this.spec) === 'int8' ? k * Math.max(1, options.rescore ?? RESCORE) : k;
    return { k, ef, again: Math.min(again, ef), allowed, numAllowed };
  }

  /** A caller is never given fewer results than exist, though a filter or the links may hide them from a walk. */
  #enough(query: Float32Array, found: Found, walk: Walk, options: SearchOptions): Neighbours {
    if (found.rows.length >= walk.k) return { ...found, plan: 'graph' };
    for (let ef = widerThan(walk.ef, walk.numAllowed); ef !== undefined; ef = widerThan(ef, walk.numAllowed)) {
      const more = this.#walker!.one(query, { ...walk, ef });
      if (more.rows.length >= walk.k) return { ...more, plan: 'graph' };
    }
    return { ...this.#rows.scan(query, options), plan: 'graphThenScan' };
  }

  vector(row: number): Float32Array {
    return this.#rows.vector(row);
  }

  serialise(): Promise<Uint8Array[]> {
    const graph = this.#graph === undefined ? {} : graphSections(this.#graph);
    return encodeIndexFile(this, { vectors: this.#rows.bytes(), ...graph });
  }
}

export const hnsw: IndexKindModule<HnswSpec> = {
  bounds: { m: [2, 256], efConstruction: [1, 10_000], efSearch: [1, 100_000], seed: [0, 0xffffffff] },
  check({ storage }) {
    if (storage === undefined || storage === 'float32' || storage === 'int8') return;
    throw new LookalikeError(
      'invalidInput',
      `Expected \`storage\` of hnsw to be float32 or int8, got ${String(storage)}.`,
    );
  },
  async build(spec, vectors, options) {
    const graph = vectors.size === 0 ? undefined : await buildGraph(spec, vectors, options);
    return new HnswIndex(spec, vectors, graph, options.machine);
  },
  async load(spec, vectors, { section, machine }) {
    const graph = vectors.size === 0 ? undefined : await loadGraph(spec, vectors, section);
    return new HnswIndex(spec, vectors, graph, machine);
  },
};
