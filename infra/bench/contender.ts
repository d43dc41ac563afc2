/** How hard to look: parameters of a search by name. */
export type Effort = Readonly<Record<string, number>>;

/** `single`: one thread, one query a call. `batch`: all threads, the queries in one call. */
export type How = 'single' | 'batch';

/** A built index, ours or a peer's, that can be asked and timed. */
export interface Contender {
  /** Short: `hnsw`, `faiss HNSW`. */
  name: string;
  /** The parameters it was built with, in words. */
  build: string;
  buildSeconds: number;
  memoryBytes: number;
  efforts: readonly Effort[];
  /** What it finds for all queries: rows [numQueries, k], -1 where there is none. */
  answer(effort: Effort): Promise<Answers>;
  /** Queries/s of one round of at least `seconds`; `batch` queries a call. */
  time(effort: Effort, how: How, seconds: number, batch: number): Promise<number>;
  close(): Promise<void>;
}

export interface Answers {
  rows: Int32Array;
  /** Rows compared per query, as a part of all; absent where the index does not count. */
  visitedShare?: number;
}

/** `efSearch=64, rescore=4`; empty without parameters. */
export function effortText(effort: Effort): string {
  return Object.entries(effort)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
}
