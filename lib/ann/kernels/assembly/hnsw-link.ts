import { aimAtRow, near, targetBytes } from './hnsw-codes';
import { degreeAt, entry, levelOf, linksOf, m, open } from './hnsw-graph';
import { keyOf, offerToPool, poolKey, poolSize, rowOf, scoreOf, startPool } from './hnsw-pool';
import { descend, walk, walkBytes } from './hnsw-walk';

/*
 * Rows are inserted in batches (as ParlayANN does, arXiv 2305.04359, section 4): first each row of a batch chooses its links
 * in the graph as it was before the batch, then each row that was chosen takes the choosers up. Both halves can be shared
 * between threads in any way: the graph is the same.
 */

/** Bytes of scratch that `hnswChooseLinks` needs. */
export function hnswChooseBytes(graph: usize, ef: i32): i32 {
  open(graph);
  return <i32>(keptBytes() + targetBytes() + walkBytes(ef));
}

/** Bytes of scratch that `hnswTakeUp` needs when at most `numEdges` links were chosen. */
export function hnswTakeUpBytes(graph: usize, numEdges: i32): i32 {
  open(graph);
  return <i32>(keptBytes() + targetBytes() + ((<usize>numEdges) << 4) + ((<usize>m) << 4));
}

function keptBytes(): usize {
  return ((<usize>m) << 1) * targetBytes();
}

/** Each of the rows order[from, to) walks the graph as it is and chooses its own links (algorithm 1 up to line 10). */
export function hnswChooseLinks(graph: usize, order: usize, from: i32, to: i32, ef: i32, scratch: usize): void {
  open(graph);
  const room = scratch + keptBytes();
  const walkRoom = room + targetBytes();
  for (let i = from; i < to; i++) {
    const row = load<i32>(order + ((<usize>i) << 2));
    if (row === entry) continue;
    const target = aimAtRow(row, room);
    const level = levelOf(row);
    let start = descend(target, level);
    for (let layer = level; layer >= 0; layer--) {
      walk(target, start, layer, ef, walkRoom);
      start = rowOf(poolKey(0));
      choose(m, linksOf(row, layer), degreeAt(layer), scratch);
    }
  }
}

/**
 * The rows that order[from, to) have chosen take them up in their turn (algorithm 1 from line 11); of the chosen rows those
 * whose number leaves `part` when divided by `parts`.
 */
export function hnswTakeUp(
  graph: usize,
  order: usize,
  from: i32,
  to: i32,
  part: i32,
  parts: i32,
  scratch: usize,
): void {
  open(graph);
  const room = scratch + keptBytes();
  const edges = room + targetBytes();
  const numEdges = gather(order, from, to, part, parts, edges);
  sort(edges, numEdges);
  const poolRoom = edges + ((<usize>numEdges) << 3);
  for (let first = 0; first < numEdges;) {
    const key = load<u64>(edges + ((<usize>first) << 3)) >>> 26;
    let end = first + 1;
    while (end < numEdges && load<u64>(edges + ((<usize>end) << 3)) >>> 26 === key) end++;
    const level = <i32>(key >>> 31);
    const row = <i32>(key & 0x7fffffff);
    takeUp(row, level, order, from, edges + ((<usize>first) << 3), end - first, room, poolRoom, scratch);
    first = end;
  }
}

/** Links as u64: layer, chosen row (31 bits), place of the chooser in the batch (26 bits). */
function gather(order: usize, from: i32, to: i32, part: i32, parts: i32, edges: usize): i32 {
  let count = 0;
  for (let i = from; i < to; i++) {
    const row = load<i32>(order + ((<usize>i) << 2));
    for (let layer = levelOf(row); layer >= 0; layer--) {
      const links = linksOf(row, layer);
      for (let j = 0; j < m; j++) {
        const other = load<i32>(links + ((<usize>j) << 2));
        if (other < 0) break;
        if (other % parts !== part) continue;
        const key = ((((<u64>layer) << 31) | (<u64>other)) << 26) | (<u64>(i - from));
        store<u64>(edges + ((<usize>count) << 3), key);
        count++;
      }
    }
  }
  return count;
}

function takeUp(
  row: i32,
  level: i32,
  order: usize,
  from: i32,
  edges: usize,
  count: i32,
  room: usize,
  poolRoom: usize,
  kept: usize,
): void {
  const links = linksOf(row, level);
  const degree = degreeAt(level);
  let size = 0;
  while (size < degree && load<i32>(links + ((<usize>size) << 2)) >= 0) size++;
  if (size + count <= degree) {
    for (let i = 0; i < count; i++) store<i32>(links + ((<usize>(size + i)) << 2), chooser(order, from, edges, i));
    return;
  }
  const target = aimAtRow(row, room);
  startPool(poolRoom, size + count);
  for (let i = 0; i < size; i++) {
    const other = load<i32>(links + ((<usize>i) << 2));
    offerToPool(near(target, other), other);
  }
  for (let i = 0; i < count; i++) {
    const other = chooser(order, from, edges, i);
    offerToPool(near(target, other), other);
  }
  choose(degree, links, degree, kept);
}

function chooser(order: usize, from: i32, edges: usize, i: i32): i32 {
  const place = from + <i32>(load<u64>(edges + ((<usize>i) << 3)) & 0x3ffffff);
  return load<i32>(order + ((<usize>place) << 2));
}

/**
 * Of the pool, at most `most` rows, nearest first, each nearer to the row that is linked than to any chosen before it
 * (algorithm 4 without extension). Writes them to `links` and fills up with -1 to `degree`.
 */
function choose(most: i32, links: usize, degree: i32, kept: usize): void {
  const bytes = targetBytes();
  let count = 0;
  for (let i = 0; i < poolSize && count < most; i++) {
    const key = poolKey(i);
    const row = rowOf(key);
    const own = scoreOf(key);
    let isNearest = true;
    if (poolSize > most) {
      for (let j = 0; j < count; j++) {
        const other = load<i32>(links + ((<usize>j) << 2));
        const target = bytes === 0 ? aimAtRow(other, 0) : kept + <usize>j * bytes;
        if (near(target, row) > own) {
          isNearest = false;
          break;
        }
      }
      if (isNearest) aimAtRow(row, kept + <usize>count * bytes);
    }
    if (!isNearest) continue;
    store<i32>(links + ((<usize>count) << 2), row);
    count++;
  }
  for (; count < degree; count++) store<i32>(links + ((<usize>count) << 2), -1);
}

/** Ascending, in place (heapsort). */
function sort(keys: usize, count: i32): void {
  for (let i = (count >> 1) - 1; i >= 0; i--) sift(keys, i, count);
  for (let end = count - 1; end > 0; end--) {
    const last = load<u64>(keys + ((<usize>end) << 3));
    store<u64>(keys + ((<usize>end) << 3), load<u64>(keys));
    store<u64>(keys, last);
    sift(keys, 0, end);
  }
}

function sift(keys: usize, i: i32, count: i32): void {
  const key = load<u64>(keys + ((<usize>i) << 3));
  for (;;) {
    let child = 2 * i + 1;
    if (child >= count) break;
    let larger = load<u64>(keys + ((<usize>child) << 3));
    if (child + 1 < count) {
      const other = load<u64>(keys + ((<usize>(child + 1)) << 3));
      if (other > larger) {
        larger = other;
        child++;
      }
    }
    if (key >= larger) break;
    store<u64>(keys + ((<usize>i) << 3), larger);
    i = child;
  }
  store<u64>(keys + ((<usize>i) << 3), key);
}
