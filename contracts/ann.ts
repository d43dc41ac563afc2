import type { LookalikeError } from './errors.ts';

export const METRICS = ['cosine', 'innerProduct', 'l2'] as const;
/** Scores are "higher is nearer": cosine and inner product as they are, L2 as negative squared distance. */
export type Metric = (typeof METRICS)[number];

export const ROW_STORAGES = ['float32', 'float16', 'int8'] as const;
/** How rows are held for the first pass over them; the f32 rows stay beside it for rescoring. */
export type RowStorage = (typeof ROW_STORAGES)[number];

/** Codes of the rows in the lists of an inverted file. */
export type IvfCodes =
  | { kind: 'flat' }
  /** One byte a dimension. */
  | { kind: 'sq8' }
  /**
   * Residual product quantisation: `m` sub-vectors of `bits` each; `opq`: rotated first. `m` 0: the largest divisor of the
   * dimension that leaves each 8 dimensions or more.
   */
  | { kind: 'pq'; m: number; bits: 4 | 8; opq: boolean };

/** How to build an index; a discriminated union so that each kind owns its parameters. */
export type IndexSpec = ExactSpec | HnswSpec | IvfSpec | KdTreeSpec | LshSpec | DeepHashSpec;

/** Brute force. `rescore`: with coarser storage, how many times k candidates are compared again in f32. */
export type ExactSpec = {
  kind: 'exact';
  metric: Metric;
  storage?: RowStorage;
  rescore?: number;
};
/** `storage`: what walks compare, int8 if absent: a quarter of the bytes travels, and the best found are compared in f32. */
export type HnswSpec = {
  kind: 'hnsw';
  metric: Metric;
  storage?: 'float32' | 'int8';
  m: number;
  efConstruction: number;
  efSearch: number;
  seed: number;
};
/**
 * Cells of k-means. `numLists` 0: 4 sqrt(n), but 32 rows a list at least; `nprobe` 0: sqrt(numLists), but 8 at least. `rescore` as for exact, over the candidates that the codes choose; 0: the codes decide.
 */
export type IvfSpec = {
  kind: 'ivf';
  metric: Metric;
  numLists: number;
  nprobe: number;
  codes: IvfCodes;
  rescore: number;
  seed: number;
};
/** `trees` 1 and `checks` 0: an exact tree; else a randomised forest that looks at `checks` rows. */
export type KdTreeSpec = {
  kind: 'kdTree';
  metric: Metric;
  trees: number;
  leafSize: number;
  checks: number;
  seed: number;
};
/**
 * `tables` of keys of `bits` hyperplanes, a bit each, or of `bits` cross-polytopes, of 8 bits each from 128 dimensions on;
 * a key has at most 32 bits. `probes`: buckets that are read, in all tables together.
 */
export type LshSpec = {
  kind: 'lsh';
  metric: Metric;
  family: 'hyperplane' | 'crossPolytope';
  tables: number;
  bits: number;
  probes: number;
  seed: number;
};
/** Binary codes compared by Hamming distance; `rescore` as for ivf. `epochs` of training, for learned ones. */
export type DeepHashSpec = {
  kind: 'deepHash';
  metric: Metric;
  bits: 64 | 128 | 256;
  /** `learned`: trained on the rows; `hyperplane`: random signs, the baseline at equal bits. */
  code: 'learned' | 'hyperplane';
  epochs: number;
  rescore: number;
  seed: number;
};
export type IndexKind = IndexSpec['kind'];
/**
 * No index but a wish: when shards are about to be built, kind and parameters are chosen by measuring on a sample. `recall`: part of the
 * true 10 nearest to be found, 0..1; `maxBytes`: memory of all shards of one replica together, 0 as much as they like.
 */
export type AutoSpec = { kind: 'auto'; metric: Metric; recall: number; maxBytes: number; seed: number };

/** How hard a search may be told to look, with inclusive bounds; each is ignored by kinds that have no such parameter. */
export const SEARCH_EFFORTS = {
  /** hnsw: overrides the spec's efSearch. */
  efSearch: [1, 1_000_000],
  /** ivf: overrides the spec's nprobe. */
  nprobe: [1, 1_000_000],
  /** lsh: overrides the spec's probes. */
  probes: [1, 1_000_000],
  /** kdTree: overrides the spec's checks. */
  checks: [1, 1_000_000],
  /** Overrides the spec's rescore. */
  rescore: [0, 1000],
} as const satisfies Record<string, readonly [min: number, max: number]>;
export type SearchEffort = { [K in keyof typeof SEARCH_EFFORTS]?: number };

export interface SearchOptions extends SearchEffort {
  k: number;
  /** Bit i (LSB first in each 32-bit word) says whether row i may be returned. Absent: all rows. */
  allowed?: Uint32Array;
  /** Compare with every allowed row, whatever the kind. */
  exact?: boolean;
  signal?: AbortSignal;
}

/** Paths by which an index answers; `graphThenScan`: the graph found too few, so every allowed row was compared. */
export const PLANS = ['scan', 'graph', 'graphThenScan', 'lists', 'tree', 'buckets', 'codes'] as const;

/** Rows and scores, best first; equal scores by ascending row. Shorter than k when fewer rows are allowed. */
export interface Neighbours {
  rows: Int32Array;
  scores: Float32Array;
  plan: (typeof PLANS)[number];
  /** How many rows were compared with the query, where the kind counts them: what tells pruning from a scan. */
  visited?: number;
}

/** Threads that run index kernels on a shared memory beside the caller. */
export interface KernelThreads {
  readonly size: number;
  /**
   * Runs each call of an exported kernel with its arguments, in any order, as threads come free; answers what they returned,
   * in the calls' order. @throws {@link LookalikeError} `cancelled` once `signal` is aborted and what runs has ended
   */
  run(memory: object, calls: readonly KernelCall[], signal?: AbortSignal): Promise<number[]>;
}
export interface KernelCall {
  name: string;
  args: readonly number[];
}

/** Products of matrices on threads beside the caller, as fast as the machine can; rounded in an order of their own. */
export interface BlockProduct {
  /** How many run at once; twice as many under way keep it busy. */
  readonly size: number;
  /** Takes the steps in order, all on one thread. @throws Error when the library or a kernel fails */
  run(memory: object, dim: number, steps: readonly ProductStep[]): Promise<void>;
}
/** `out[i * numQueries + j]` = rows[i] . queries[j], row-major, at addresses of the memory; `then` uses it. */
export interface ProductStep {
  /**
   * `float32`, also if absent: all f32, queries [numQueries, dim]. `bytes`: exact; rows u8, each number raised by 128; queries i8
   * [dim, numQueries], from -64 to 64, since some processors add pairs in 16 bits; out i32.
   */
  format?: 'float32' | 'bytes';
  rows: number;
  numRows: number;
  queries: number;
  numQueries: number;
  out: number;
  then: KernelCall;
}

/** What an index may use beyond the thread it runs in. */
export interface AnnMachine {
  threads?: KernelThreads;
  blockProduct?: BlockProduct;
}

/** Collects vectors; `build` hands over an immutable index and the builder is spent. */
export interface AnnBuilder {
  /** Appends row number `size()`. @throws {@link LookalikeError} `dimensionMismatch` | `nonFinite` */
  add(vector: Float32Array): void;
  size(): number;
  build(signal?: AbortSignal, onProgress?: (rowsDone: number) => void): Promise<AnnIndex>;
}

/** Read-only after construction. Row numbers are dense 0..size-1; ids live beside the index, not in it. */
export interface AnnIndex {
  readonly spec: IndexSpec;
  readonly dim: number;
  readonly size: number;
  /** @throws {@link LookalikeError} `dimensionMismatch` | `nonFinite` | `cancelled` */
  search(query: Float32Array, options: SearchOptions): Neighbours;
  /**
   * As `search`, for many queries (f32 [numQueries, dim]) at once: each answer equals the single one's, sooner. Batches that
   * overlap wait for each other; single searches go on between.
   */
  searchBatch(queries: Float32Array, options: SearchOptions): Promise<Neighbours[]>;
  /** Bytes held in memory to answer: rows, codes and structure. */
  readonly memoryBytes: number;
  /** A copy of the stored vector: unit length under `cosine`, else as it was added. */
  vector(row: number): Float32Array;
  /** The parts of a checksummed, versioned file, in order; loading it gives an index with equal answers. */
  serialise(): Promise<Uint8Array[]>;
}

/** The public face of a shard file set: `index.bin` (the index) and `rows.jsonl` (row -> id, category). */
export interface ShardSummary {
  spec: IndexSpec;
  dim: number;
  size: number;
  shard: number;
  numShards: number;
}

export type { LookalikeError };
