import { score } from './distance';
import { heapPush, heapSort } from './heap';
import { Lsh, projectedSize } from './lsh-layout';
import { isProbe, keyBitsOf, nextSet, startProbes, stepsBytes, tableOf } from './lsh-probes';
import { keyOf, project } from './lsh-project';

/**
 * Sets of steps that are looked at: some change a function twice and are no probe, and a search goes on for a while where
 * its probes find too few.
 */
function maxSets(probes: i32): i32 {
  return 4 * max(probes, 256);
}

/** Bytes of scratch for a search of so many probes. */
export function lshScratch(at: usize, probes: i32): i32 {
  const lsh = changetype<Lsh>(at);
  const numSets = lsh.numTables + 2 * maxSets(probes);
  const sizes = seenBytes(lsh) + (<usize>projectedSize(lsh) + lsh.numTables) * 4 + stepsBytes(lsh);
  return <i32>(sizes + <usize>numSets * 32);
}

function seenBytes(lsh: Lsh): usize {
  return ((<usize>lsh.size + 511) >>> 9) << 6;
}

/**
 * Answers queries as `kdSearch` does: compares the rows of each query's own bucket in every table, then those of the buckets
 * where rows that are near fell most probably, until `probes` buckets were read and `k` rows found. Each row is
 * compared once.
 */
export function lshSearch(
  at: usize,
  queries: usize,
  count: i32,
  allowed: usize,
  k: i32,
  probes: i32,
  scratch: usize,
  scores: usize,
  rows: usize,
  info: usize,
): void {
  const lsh = changetype<Lsh>(at);
  for (let i = 0; i < count; i++) {
    query = queries + ((<usize>i * lsh.dim) << 2);
    heapScores = scores + ((<usize>i * k) << 2);
    heapRows = rows + ((<usize>i * k) << 2);
    found = 0;
    compared = 0;
    searchOne(lsh, allowed, k, probes, scratch);
    heapSort(heapScores, heapRows, found);
    store<i32>(info + ((<usize>i) << 3), found);
    store<i32>(info + ((<usize>i) << 3), compared, 4);
  }
}

// The search that this thread is in.
let query: usize = 0;
let heapScores: usize = 0;
let heapRows: usize = 0;
let found: i32 = 0;
let compared: i32 = 0;

function searchOne(lsh: Lsh, allowed: usize, k: i32, probes: i32, seen: usize): void {
  const projected = seen + seenBytes(lsh);
  const keys = projected + ((<usize>projectedSize(lsh)) << 2);
  const steps = keys + ((<usize>lsh.numTables) << 2);
  const sets = steps + stepsBytes(lsh);
  const queue = sets + <usize>(lsh.numTables + 2 * maxSets(probes)) * 24;
  memory.fill(seen, 0, seenBytes(lsh));
  project(lsh, query, true, projected);
  for (let t = 0; t < lsh.numTables; t++) {
    const key = keyOf(lsh, projected, t);
    store<u32>(keys + ((<usize>t) << 2), key);
    if (t < probes || found < k) readBucket(lsh, t, key, allowed, k, seen);
  }
  let left = probes - lsh.numTables;
  if (left <= 0 && found === k) return;
  startProbes(lsh, projected, steps, sets, queue);
  for (let i = maxSets(probes); i > 0 && (left > 0 || found < k); i--) {
    const set = nextSet(steps, sets, queue);
    if (set < 0) return;
    if (!isProbe(steps, sets, set)) continue;
    const t = tableOf(sets, set);
    const key = load<u32>(keys + ((<usize>t) << 2)) ^ keyBitsOf(steps, sets, set);
    readBucket(lsh, t, key, allowed, k, seen);
    left--;
  }
}

function readBucket(lsh: Lsh, table: i32, key: u32, allowed: usize, k: i32, seen: usize): void {
  const range = key >>> (lsh.keyBits - lsh.directoryBits);
  const at = lsh.directory + (<usize>table * ((1 << lsh.directoryBits) + 1) + range) * 4;
  const end = load<u32>(at, 4);
  const rows = lsh.rows + <usize>table * lsh.size * 4;
  const keys: usize = lsh.keys === 0 ? 0 : lsh.keys + <usize>table * lsh.size * 4;
  for (let i = load<u32>(at); i < end; i++) {
    if (keys !== 0 && load<u32>(keys + ((<usize>i) << 2)) !== key) continue;
    const row = load<i32>(rows + ((<usize>i) << 2));
    const word = (<usize>(row >>> 5)) << 2;
    const bit = (<u32>1) << (row & 31);
    const bits = load<u32>(seen + word);
    if ((bits & bit) !== 0) continue;
    store<u32>(seen + word, bits | bit);
    if (allowed !== 0 && (load<u32>(allowed + word) & bit) === 0) continue;
    compared++;
    const near = score(lsh.metric, query, lsh.data + <usize>row * lsh.dim * 4, lsh.dim);
    if (found < k || near >= load<f32>(heapScores)) found = heapPush(heapScores, heapRows, found, k, near, row);
  }
}
