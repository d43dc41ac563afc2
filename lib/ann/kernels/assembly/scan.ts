import { score } from './distance';
import { dotHalf } from './half';
import { heapPush } from './heap';
import { dotInt8 } from './int8';

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

/**
 * Offers the rows [from, to) by their codes; arguments as `scanRows`. `kind`: 0 halves, 1 bytes. `query` is coded as the kind
 * asks; a row's score is its inner product * `scale` (* `scales[row]` with bytes) - `bias[row]`; `bias` 0: none.
 */
export function scanCodes(
  kind: i32,
  codes: usize,
  stride: i32,
  scales: usize,
  bias: usize,
  from: i32,
  to: i32,
  query: usize,
  scale: f32,
  allowed: usize,
  k: i32,
  scores: usize,
  rows: usize,
  size: i32,
): i32 {
  for (let first = from; first < to; first += 32) {
    // All 32 rows, or those whose bits are set: the loop below is the same.
    let word = allowed === 0 ? <u32>-1 : load<u32>(allowed + ((<usize>(first >>> 5)) << 2));
    if (to - first < 32) word &= (1 << (to - first)) - 1;
    while (word !== 0) {
      const row = first + <i32>ctz<u32>(word);
      word &= word - 1;
      let found: f32;
      if (kind === 0) {
        found = dotHalf(codes + <usize>row * <usize>stride * 2, query, stride) * scale;
      } else {
        const sum = <f32>dotInt8(codes + <usize>row * <usize>stride, query, stride);
        found = sum * (load<f32>(scales + ((<usize>row) << 2)) * scale);
      }
      if (bias !== 0) found -= load<f32>(bias + ((<usize>row) << 2));
      if (size === k && found < load<f32>(scores)) continue;
      size = heapPush(scores, rows, size, k, found, row);
    }
  }
  return size;
}

/** Largest squared norm, halved, of the rows [from, to); `out`: where each one's is stored (f32 [n]), 0 for nowhere. */
export function halfNorms(data: usize, dim: i32, from: i32, to: i32, out: usize): f64 {
  let largest: f64 = 0;
  for (let row = from; row < to; row++) {
    const at = data + ((<usize>row * <usize>dim) << 2);
    let total = f64x2.splat(0);
    let i = 0;
    for (; i + 2 <= dim; i += 2) {
      const x = f64x2.promote_low_f32x4(v128.load64_zero(at + ((<usize>i) << 2)));
      total = f64x2.add(total, f64x2.mul(x, x));
    }
    let norm = f64x2.extract_lane(total, 0) + f64x2.extract_lane(total, 1);
    if (i < dim) {
      const x = <f64>load<f32>(at + ((<usize>i) << 2));
      norm += x * x;
    }
    norm *= 0.5;
    if (norm > largest) largest = norm;
    if (out !== 0) store<f32>(out + ((<usize>row) << 2), <f32>norm);
  }
  return largest;
}

/** Reads `bytes` (a multiple of 128) and does next to nothing: how fast memory gives rows is what a scan is judged by. */
export function readBytes(from: usize, bytes: usize): i32 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (const end = from + bytes; from < end; from += 128) {
    s0 = v128.or(s0, v128.or(v128.load(from), v128.load(from, 64)));
    s1 = v128.or(s1, v128.or(v128.load(from, 16), v128.load(from, 80)));
    s2 = v128.or(s2, v128.or(v128.load(from, 32), v128.load(from, 96)));
    s3 = v128.or(s3, v128.or(v128.load(from, 48), v128.load(from, 112)));
  }
  return <i32>v128.any_true(v128.or(v128.or(s0, s1), v128.or(s2, s3)));
}
