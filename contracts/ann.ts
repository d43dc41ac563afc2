import type { LookalikeError } from './errors.ts';

export const METRICS = ['cosine', 'innerProduct', 'l2'] as const;
/** Scores are "higher is nearer": cosine and inner product as they are, L2 as negative squared distance. */
export type Metric = (typeof METRICS)[number];

/** How to build an index; a discriminated union so that each kind owns its parameters. */
export type IndexSpec =
  | { kind: 'exact'; metric: Metric }
  | { kind: 'hnsw'; metric: Metric; m: number; efConstruction: number; efSearch: number; seed: number };
export type IndexKind = IndexSpec['kind'];

export interface SearchOptions {
  k: number;
  /** Bit i (LSB first in each 32-bit word) says whether row i may be returned. Absent: all rows. */
  allowed?: Uint32Array;
  /** hnsw: overrides the spec's efSearch. */
  efSearch?: number;
  /** Compare with every allowed row, whatever the kind. */
  exact?: boolean;
  signal?: AbortSignal;
}

/** Rows and scores, best first; equal scores by ascending row. Shorter than k when fewer rows are allowed. */
export interface Neighbours {
  rows: Int32Array;
  scores: Float32Array;
  /** The path that answered; `graphThenScan`: the graph found too few, so every allowed row was compared. */
  plan: 'scan' | 'graph' | 'graphThenScan';
}

/** Passing room for a native library that reads and writes only files. */
export interface ScratchFiles {
  /** Hands out a path where nothing is yet, and removes what is there afterwards. */
  withFile<T>(use: (file: ScratchFile) => Promise<T>): Promise<T>;
}
export interface ScratchFile {
  path: string;
  read(): Promise<Uint8Array>;
  write(bytes: Uint8Array): Promise<void>;
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
  /** A copy of the stored vector: unit length under `cosine`, else as it was added. */
  vector(row: number): Float32Array;
  /** The parts of a checksummed, versioned file, in order; loading it gives an index with equal answers. */
  serialise(scratch: ScratchFiles): Promise<Uint8Array[]>;
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
