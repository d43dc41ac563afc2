import { heapSort } from './heap';
import { aimAtQuery, targetBytes } from './hnsw-codes';
import { dim, metric, open, rows } from './hnsw-graph';
import { poolKey, poolSize, rowOf } from './hnsw-pool';
import { descend, walk, walkBytes } from './hnsw-walk';
import { scanList } from './scan';

export { hnswEncode, hnswRanges } from './hnsw-codes';
export { hnswCheckLinks } from './hnsw-graph';
export { hnswChooseBytes, hnswChooseLinks, hnswTakeUp, hnswTakeUpBytes } from './hnsw-link';

/** Bytes of scratch that `hnswSearch` needs. */
export function hnswSearchBytes(graph: usize, ef: i32): i32 {
  open(graph);
  return <i32>(targetBytes() + walkBytes(ef) + ((<usize>ef) << 2));
}

/**
 * Answers the queries [from, to) of f32 [numQueries, dim] (algorithm 5): walks with `ef`, compares the `again` best rows in
 * f32 and leaves the `k` best of them, sorted, in scores f32 [numQueries, k], found i32 [numQueries, k] and counts i32
 * [numQueries]. `allowed`: bitmap of rows, 0 for all; the walk leads through all rows, and those of the `ef` nearest that are
 * not allowed are left out. So what is found is as true as without a bitmap, but can be too few.
 */
export function hnswSearch(
  graph: usize,
  queries: usize,
  from: i32,
  to: i32,
  allowed: usize,
  ef: i32,
  again: i32,
  k: i32,
  scores: usize,
  found: usize,
  counts: usize,
  scratch: usize,
): void {
  open(graph);
  const list = scratch + targetBytes();
  const walkRoom = list + ((<usize>ef) << 2);
  for (let i = from; i < to; i++) {
    const query = queries + ((<usize>i * <usize>dim) << 2);
    const target = aimAtQuery(query, scratch);
    walk(target, descend(target, 0), 0, ef, walkRoom);
    const count = collect(allowed, again, list);
    const at = (<usize>i * <usize>k) << 2;
    const size = scanList(rows, dim, list, count, query, metric, k, scores + at, found + at, 0);
    heapSort(scores + at, found + at, size);
    store<i32>(counts + ((<usize>i) << 2), size);
  }
}

/** The first rows of the pool that are allowed, at most `most`. */
function collect(allowed: usize, most: i32, list: usize): i32 {
  let count = 0;
  for (let i = 0; i < poolSize && count < most; i++) {
    const row = rowOf(poolKey(i));
    if (allowed !== 0) {
      const word = load<u32>(allowed + ((<usize>(row >>> 5)) << 2));
      if (((word >>> (row & 31)) & 1) === 0) continue;
    }
    store<i32>(list + ((<usize>count) << 2), row);
    count++;
  }
  return count;
}
