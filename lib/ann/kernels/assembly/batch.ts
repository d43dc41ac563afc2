import { heapPush, heapSort } from './heap';
import { scanList } from './scan';

/*
 * Many queries at once. A block of scores, f32 [numRows, numQueries], is made by a matrix product whose sums round in an
 * order of its own; so it only chooses candidates, and `finishQuery` proves that it chose enough.
 * Every query i has a heap of `room` candidates: scores + i * room, rows + i * room, and sizes[i] of them in use.
 */

/** A block's scores [numRows, numQueries]: rows (f32 [numRows, dim]) times queries (f32 [numQueries, dim]), in tiles of 2 by 4. */
export function multiplyBlock(data: usize, numRows: i32, queries: usize, numQueries: i32, dim: i32, out: usize): void {
  const stride = (<usize>dim) << 2;
  const outStride = (<usize>numQueries) << 2;
  const whole = stride & ~15;
  for (let i = 0; i < numQueries; i += 4) {
    // The last tile repeats its last query and row instead of reading past the end: equal numbers are stored twice.
    const last = numQueries - 1 - i;
    const q0 = queries + <usize>i * stride;
    const q1 = q0 + <usize>min(1, last) * stride;
    const q2 = q0 + <usize>min(2, last) * stride;
    const q3 = q0 + <usize>min(3, last) * stride;
    for (let j = 0; j < numRows; j += 2) {
      const a = data + <usize>j * stride;
      const next: usize = j + 1 < numRows ? 1 : 0;
      const b = a + next * stride;
      let a0 = f32x4.splat(0);
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let b0 = a0;
      let b1 = a0;
      let b2 = a0;
      let b3 = a0;
      for (let at: usize = 0; at < whole; at += 16) {
        const x = v128.load(a + at);
        const y = v128.load(b + at);
        let q = v128.load(q0 + at);
        a0 = f32x4.relaxed_madd(x, q, a0);
        b0 = f32x4.relaxed_madd(y, q, b0);
        q = v128.load(q1 + at);
        a1 = f32x4.relaxed_madd(x, q, a1);
        b1 = f32x4.relaxed_madd(y, q, b1);
        q = v128.load(q2 + at);
        a2 = f32x4.relaxed_madd(x, q, a2);
        b2 = f32x4.relaxed_madd(y, q, b2);
        q = v128.load(q3 + at);
        a3 = f32x4.relaxed_madd(x, q, a3);
        b3 = f32x4.relaxed_madd(y, q, b3);
      }
      const to = out + <usize>j * outStride + ((<usize>i) << 2);
      const to1 = to + ((<usize>min(1, last)) << 2);
      const to2 = to + ((<usize>min(2, last)) << 2);
      const to3 = to + ((<usize>min(3, last)) << 2);
      const side = next * outStride;
      store<f32>(to, sum(a0) + rest(a, q0, whole, stride));
      store<f32>(to + side, sum(b0) + rest(b, q0, whole, stride));
      store<f32>(to1, sum(a1) + rest(a, q1, whole, stride));
      store<f32>(to1 + side, sum(b1) + rest(b, q1, whole, stride));
      store<f32>(to2, sum(a2) + rest(a, q2, whole, stride));
      store<f32>(to2 + side, sum(b2) + rest(b, q2, whole, stride));
      store<f32>(to3, sum(a3) + rest(a, q3, whole, stride));
      store<f32>(to3 + side, sum(b3) + rest(b, q3, whole, stride));
    }
  }
}

function sum(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** What is left of a row when its groups of four are done. */
function rest(a: usize, b: usize, from: usize, to: usize): f32 {
  let total: f32 = 0;
  for (let at = from; at < to; at += 4) total += load<f32>(a + at) * load<f32>(b + at);
  return total;
}

/** Copies the listed rows (i32 [count]) of f32 [n, dim] into one piece. */
export function gatherRows(data: usize, dim: i32, list: usize, count: i32, out: usize): void {
  const stride = (<usize>dim) << 2;
  for (let i = 0; i < count; i++) {
    memory.copy(out + <usize>i * stride, data + <usize>load<i32>(list + ((<usize>i) << 2)) * stride, stride);
  }
}

/**
 * Offers a block's scores, less `bias[i]` of its row i (f32 [numRows]; 0: none), to the queries' heaps. Row i of the block is
 * row `firstRow + i`, or `list[i]` where a list is given. `bars` (f32 [numQueries]) has what a score must exceed: -Infinity
 * until a heap is full, then its worst. Threads with heaps of their own share the bars: whatever one of them writes last, a
 * full heap stands behind it.
 */
export function selectBlock(
  block: usize,
  numRows: i32,
  numQueries: i32,
  firstRow: i32,
  list: usize,
  bias: usize,
  room: i32,
  scores: usize,
  rows: usize,
  sizes: usize,
  bars: usize,
): void {
  const width = (<usize>numQueries) << 2;
  const whole = width & ~63;
  for (let i = 0; i < numRows; i++) {
    const row = list === 0 ? firstRow + i : load<i32>(list + ((<usize>i) << 2));
    const off: f32 = bias === 0 ? 0 : load<f32>(bias + ((<usize>i) << 2));
    const offs = f32x4.splat(off);
    const line = block + <usize>i * width;
    for (let at: usize = 0; at < width; at += 64) {
      if (at < whole) {
        // Nearly every group of 16 has none above its bar.
        const v = line + at;
        const b = bars + at;
        const above0 = f32x4.gt(f32x4.sub(v128.load(v), offs), v128.load(b));
        const above1 = f32x4.gt(f32x4.sub(v128.load(v, 16), offs), v128.load(b, 16));
        const above2 = f32x4.gt(f32x4.sub(v128.load(v, 32), offs), v128.load(b, 32));
        const above3 = f32x4.gt(f32x4.sub(v128.load(v, 48), offs), v128.load(b, 48));
        if (!v128.any_true(v128.or(v128.or(above0, above1), v128.or(above2, above3)))) continue;
      }
      for (let to = at, end = min(at + 64, width); to < end; to += 4) {
        const found = load<f32>(line + to) - off;
        if (!(found > load<f32>(bars + to))) continue;
        const heapScores = scores + to * <usize>room;
        const size = heapPush(heapScores, rows + to * <usize>room, load<i32>(sizes + to), room, found, row);
        store<i32>(sizes + to, size);
        if (size === room) store<f32>(bars + to, max<f32>(load<f32>(bars + to), load<f32>(heapScores)));
      }
    }
  }
}

/** `multiplyBlock`, then `selectBlock`, in one call. */
export function compareBlock(
  data: usize,
  numRows: i32,
  queries: usize,
  numQueries: i32,
  dim: i32,
  block: usize,
  firstRow: i32,
  list: usize,
  bias: usize,
  room: i32,
  scores: usize,
  rows: usize,
  sizes: usize,
  bars: usize,
): void {
  multiplyBlock(data, numRows, queries, numQueries, dim, block);
  selectBlock(block, numRows, numQueries, firstRow, list, bias, room, scores, rows, sizes, bars);
}

/** Offers what one set of heaps holds to another. */
export function mergeHeaps(
  numQueries: i32,
  room: i32,
  scores: usize,
  rows: usize,
  sizes: usize,
  toScores: usize,
  toRows: usize,
  toSizes: usize,
): void {
  for (let i: usize = 0; i < <usize>numQueries; i++) {
    const heap = (i * <usize>room) << 2;
    const count = load<i32>(sizes + (i << 2));
    let size = load<i32>(toSizes + (i << 2));
    for (let j: usize = 0; j < <usize>count; j++) {
      const at = heap + (j << 2);
      size = heapPush(toScores + heap, toRows + heap, size, room, load<f32>(scores + at), load<i32>(rows + at));
    }
    store<i32>(toSizes + (i << 2), size);
  }
}

/**
 * The `k` best of each query by the scores that answers carry, best first, in out* (f32, i32 [numQueries, k]) and `counts`.
 * `margins[i]` bounds how far two scores of query i, both rounded otherwise, can be mistaken for each other: whoever is among
 * the true k best lies at most that far below the k-th candidate; infinite: nothing can be said. A count of -1: the heap may
 * not hold all of those.
 */
export function finishQueries(
  data: usize,
  dim: i32,
  queries: usize,
  numQueries: i32,
  metric: i32,
  k: i32,
  room: i32,
  scores: usize,
  rows: usize,
  sizes: usize,
  margins: usize,
  outScores: usize,
  outRows: usize,
  counts: usize,
): void {
  for (let i = 0; i < numQueries; i++) {
    const heapScores = scores + ((<usize>i * <usize>room) << 2);
    const heapRows = rows + ((<usize>i * <usize>room) << 2);
    const size = load<i32>(sizes + ((<usize>i) << 2));
    heapSort(heapScores, heapRows, size);
    const margin = <f64>load<f32>(margins + ((<usize>i) << 2));
    let chosen = size;
    if (size === room) {
      const bar = <f64>load<f32>(heapScores + ((<usize>(k - 1)) << 2)) - margin;
      while (chosen > k && <f64>load<f32>(heapScores + ((<usize>(chosen - 1)) << 2)) < bar) chosen--;
    }
    let count = -1;
    if (margin < Infinity && (size < room || chosen < size)) {
      const bestScores = outScores + ((<usize>i * <usize>k) << 2);
      const bestRows = outRows + ((<usize>i * <usize>k) << 2);
      const query = queries + ((<usize>i * <usize>dim) << 2);
      count = scanList(data, dim, heapRows, chosen, query, metric, k, bestScores, bestRows, 0);
      heapSort(bestScores, bestRows, count);
    }
    store<i32>(counts + ((<usize>i) << 2), count);
  }
}
