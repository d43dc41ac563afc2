/*
 * The k rows of least Hamming distance in a stream of rows in ascending order, by counting: a distance takes one of few values,
 * so no heap is needed. Selection: i32 bar, below, count, k; u32 counts [bits + 2]; entries (i32 row, i32 distance).
 * Invariant: whoever is among the k least so far is an entry; fewer than k entries lie below the bar, and with those on it
 * there are k, once there were as many. So only rows below the bar matter: on it, earlier rows come first.
 */
const HEAD: usize = 16;

/** Entries that there is room for; compacting leaves k at most. */
function roomOf(k: i32): i32 {
  return 2 * k + 1024;
}

export function selectionBytes(bits: i32, k: i32): usize {
  return (HEAD + ((<usize>(bits + 2)) << 2) + ((<usize>roomOf(k)) << 3) + 63) & ~63;
}

export function startSelection(at: usize, bits: i32, k: i32): void {
  memory.fill(at, 0, HEAD + ((<usize>(bits + 2)) << 2));
  store<i32>(at, bits + 1);
  store<i32>(at, k, 12);
}

/** Only rows at less than this distance are worth a call of `select`. */
// @ts-ignore: decorator
@inline
export function barOf(at: usize): i32 {
  return load<i32>(at);
}

/** Takes a row below the bar in, and returns the new bar. */
export function select(at: usize, bits: i32, row: i32, distance: i32): i32 {
  const k = load<i32>(at, 12);
  const counts = at + HEAD;
  const entries = counts + ((<usize>(bits + 2)) << 2);
  let count = load<i32>(at, 8);
  if (count === roomOf(k)) {
    compact(at, bits);
    count = load<i32>(at, 8);
  }
  const entry = entries + ((<usize>count) << 3);
  store<i32>(entry, row);
  store<i32>(entry, distance, 4);
  store<i32>(at, count + 1, 8);
  const sum = counts + ((<usize>distance) << 2);
  store<u32>(sum, load<u32>(sum) + 1);
  let below = load<i32>(at, 4) + 1;
  let bar = load<i32>(at);
  while (below >= k) {
    bar--;
    below -= load<u32>(counts + ((<usize>bar) << 2));
  }
  store<i32>(at, bar);
  store<i32>(at, below, 4);
  return bar;
}

/** Drops the entries that are not among the k. */
function compact(at: usize, bits: i32): void {
  const bar = load<i32>(at);
  let onBar = load<i32>(at, 12) - load<i32>(at, 4);
  const entries = at + HEAD + ((<usize>(bits + 2)) << 2);
  const count = load<i32>(at, 8);
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const entry = load<u64>(entries + ((<usize>i) << 3));
    const distance = <i32>(entry >>> 32);
    if (distance > bar || (distance === bar && onBar-- <= 0)) continue;
    store<u64>(entries + ((<usize>kept) << 3), entry);
    kept++;
  }
  store<i32>(at, kept, 8);
}

/** Writes rows and distances, nearest first and then by row, and returns how many. */
export function finishSelection(at: usize, bits: i32, rows: usize, distances: usize): i32 {
  compact(at, bits);
  const counts = at + HEAD;
  const entries = counts + ((<usize>(bits + 2)) << 2);
  const count = load<i32>(at, 8);
  memory.fill(counts, 0, (<usize>(bits + 2)) << 2);
  for (let i = 0; i < count; i++) {
    const sum = counts + ((<usize>load<i32>(entries + ((<usize>i) << 3), 4)) << 2);
    store<u32>(sum, load<u32>(sum) + 1);
  }
  let start: u32 = 0;
  for (let d = 0; d <= bits; d++) {
    const sum = counts + ((<usize>d) << 2);
    const many = load<u32>(sum);
    store<u32>(sum, start);
    start += many;
  }
  for (let i = 0; i < count; i++) {
    const entry = entries + ((<usize>i) << 3);
    const distance = load<i32>(entry, 4);
    const sum = counts + ((<usize>distance) << 2);
    const to = (<usize>load<u32>(sum)) << 2;
    store<u32>(sum, load<u32>(sum) + 1);
    store<i32>(rows + to, load<i32>(entry));
    store<i32>(distances + to, distance);
  }
  return count;
}
