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
  isNew(start);
  offerToPool(near(target, start), start);
  const degree = degreeAt(level);
  for (let row = nextOfPool(); row >= 0; row = nextOfPool()) {
    const links = linksOf(row, level);
    listSize = 0;
    for (let i = 0; i < degree; i++) {
      const other = load<i32>(links + ((<usize>i) << 2));
      if (other < 0) break;
      if (isNew(other)) enlist(other);
    }
    offerList(target);
  }
}

/** Whether the row was not met yet; from now on it was. */
function isNew(row: i32): bool {
  const at = visited + ((<usize>(row >>> 5)) << 2);
  const word = load<u32>(at);
  const bit: u32 = 1 << (row & 31);
  if ((word & bit) !== 0) return false;
  store<u32>(at, word | bit);
  return true;
}

// There is no prefetch in WebAssembly; loads that nothing waits for overlap, so the rows are on their way when their turn comes.
function enlist(row: i32): void {
  sink ^= touch(row);
  store<i32>(list + ((<usize>listSize) << 2), row);
  listSize++;
}

function offerList(target: usize): void {
  for (let i = 0; i < listSize; i++) {
    const row = load<i32>(list + ((<usize>i) << 2));
    offerToPool(near(target, row), row);
  }
}
