import { score } from './distance';
import { heapPush } from './heap';

/**
 * Offers the rows [from, to) of `data` (f32 [n, dim]) to the heap and returns its new size; so a scan can be cut into blocks
 * and shared between threads. `allowed`: bitmap of rows, u32 words, least significant bit first; 0 for all. With a bitmap,
 * `from` is a multiple of 32; words without a bit cost one load.
 */
export function scanRows(
  data: usize,
  dim: i32,
  from: i32,
  to: i32,
  query: usize,
  metric: i32,
  allowed: usize,
  k: i32,
  scores: usize,
  rows: usize,
  size: i32,
): i32 {
  const stride = (<usize>dim) << 2;
  if (allowed === 0) {
    let at = data + <usize>from * stride;
    for (let row = from; row < to; row++) {
      size = offer(metric, query, at, dim, k, scores, rows, size, row);
      at += stride;
    }
    return size;
  }
  for (let first = from; first < to; first += 32) {
    let word = load<u32>(allowed + ((<usize>(first >>> 5)) << 2));
    if (to - first < 32) word &= (1 << (to - first)) - 1;
    while (word !== 0) {
      const row = first + <i32>ctz<u32>(word);
      size = offer(metric, query, data + <usize>row * stride, dim, k, scores, rows, size, row);
      word &= word - 1;
    }
  }
  return size;
}

/** Scores the given rows (i32 [count]) and offers each to the heap; returns its new size. */
export function scanList(
  data: usize,
  dim: i32,
  list: usize,
  count: i32,
  query: usize,
  metric: i32,
  k: i32,
  scores: usize,
  rows: usize,
  size: i32,
): i32 {
  const stride = (<usize>dim) << 2;
  for (let i = 0; i < count; i++) {
    const row = load<i32>(list + ((<usize>i) << 2));
    size = offer(metric, query, data + <usize>row * stride, dim, k, scores, rows, size, row);
  }
  return size;
}

function offer(
  metric: i32,
  query: usize,
  at: usize,
  dim: i32,
  k: i32,
  scores: usize,
  rows: usize,
  size: i32,
  row: i32,
): i32 {
  const found = score(metric, query, at, dim);
  // Nearly every row is worse than all that are kept: one comparison, no call.
  if (size === k && found < load<f32>(scores)) return size;
  return heapPush(scores, rows, size, k, found, row);
}
