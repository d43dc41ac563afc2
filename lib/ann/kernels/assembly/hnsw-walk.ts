import { near, touch } from './hnsw-codes';
import { degreeAt, entry, levelOf, linksOf, m, numRows } from './hnsw-graph';
import { nextOfPool, offerToPool, startPool } from './hnsw-pool';

/** Keeps the loads that only bring rows near. */
let sink: i32 = 0;
let list: usize = 0;
let listSize: i32 = 0;
let visited: usize = 0;

/** Bytes that `walk` needs: visited rows, one expansion's rows and the pool. */
export function walkBytes(ef: i32): usize {
  return visitedBytes() + listBytes() + ((<usize>ef) << 3);
}
function visitedBytes(): usize {
  return ((<usize>numRows + 63) >>> 6) << 3;
}
function listBytes(): usize {
  return (<usize>m) << 3;
}

/** Greedy descent to the layer above `level` (algorithm 2 with ef 1); returns where to begin there. */
export function descend(target: usize, level: i32): i32 {
  let best = entry;
  let bestNear = near(target, best);
  for (let layer = levelOf(entry); layer > level; layer--) {
    let isMoving = true;
    while (isMoving) {
      isMoving = false;
      const links = linksOf(best, layer);
      for (let i = 0, degree = degreeAt(layer); i < degree; i++) {
        const row = load<i32>(links + ((<usize>i) << 2));
        if (row < 0) break;
        const found = near(target, row);
        if (found > bestNear) {
          bestNear = found;
          best = row;
          isMoving = true;
        }
      }
    }
  }
  return best;
}

/** Fills the pool with the `ef` nearest rows that a best-first walk from `start` meets on a layer (algorithm 2). */
export function walk(target: usize, start: i32, level: i32, ef: i32, scratch: usize): void {
  visited = scratch;
  list = visited + visitedBytes();
  memory.fill(visited, 0, visitedBytes());
  startPool(list + listBytes(), ef);
  store<u32>(visited + ((<usize>(start >>> 5)) << 2), 1 << (start & 31));
  offerToPool(near(target, start), start);
  const degree = degreeAt(level);
  for (let row = nextOfPool(); row >= 0; row = nextOfPool()) {
    enlist(linksOf(row, level), degree);
    // There is no prefetch in WebAssembly; loads that nothing waits for overlap, so rows are on their way before their turn.
    for (let i = 0; i < listSize; i++) sink ^= touch(load<i32>(list + ((<usize>i) << 2)));
    for (let i = 0; i < listSize; i++) {
      const other = load<i32>(list + ((<usize>i) << 2));
      offerToPool(near(target, other), other);
    }
  }
}

/** Lists the linked rows that were not met yet; from now on they were. Without a branch on that: it could not be foreseen. */
function enlist(links: usize, degree: i32): void {
  let at = list;
  const end = links + ((<usize>degree) << 2);
  for (; links < end; links += 4) {
    const row = load<i32>(links);
    if (row < 0) break;
    const word = visited + ((<usize>(row >>> 5)) << 2);
    const bits = load<u32>(word);
    store<u32>(word, bits | (1 << (row & 31)));
    store<i32>(at, row);
    at += (<usize>(~(bits >>> (row & 31)) & 1)) << 2;
  }
  listSize = <i32>((at - list) >>> 2);
}
