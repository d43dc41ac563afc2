import { Asked, offerRow, startBlock } from './asked';

/*
 * Many queries at once. A block of estimates, f32 [numRows, numQueries], is made by a matrix product whose sums round in an
 * order of its own; so it only tells which rows are worth comparing.
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
 * Offers the rows of a block, f32 [numRows, width], less `bias[i]` of its row i (f32 [numRows]; 0: none). Row i of the block is row
 * `firstRow + i`, or `list[i]` where a list is given.
 */
export function selectBlock(block: usize, numRows: i32, asked: Asked, firstRow: i32, list: usize, bias: usize): void {
  const allowances = asked.allowances;
  startBlock(asked, allowances);
  const needs = asked.needs;
  const width = (<usize>asked.width) << 2;
  for (let i = 0; i < numRows; i++) {
    const row = list === 0 ? firstRow + i : load<i32>(list + ((<usize>i) << 2));
    const off: f32 = bias === 0 ? 0 : load<f32>(bias + ((<usize>i) << 2));
    const offs = f32x4.splat(off);
    const line = block + <usize>i * width;
    for (let at: usize = 0; at < width; at += 64) {
      // Nearly every group of 16 is below. What is not a number is not.
      const v = line + at;
      const n = needs + at;
      const below0 = f32x4.lt(f32x4.sub(v128.load(v), offs), v128.load(n));
      const below1 = f32x4.lt(f32x4.sub(v128.load(v, 16), offs), v128.load(n, 16));
      const below2 = f32x4.lt(f32x4.sub(v128.load(v, 32), offs), v128.load(n, 32));
      const below3 = f32x4.lt(f32x4.sub(v128.load(v, 48), offs), v128.load(n, 48));
      if (i32x4.bitmask(v128.and(v128.and(below0, below1), v128.and(below2, below3))) === 15) continue;
      for (let to = at; to < at + 64; to += 4) {
        if (load<f32>(line + to) - off < load<f32>(needs + to)) continue;
        if (<i32>(to >>> 2) < asked.numQueries) offerRow(asked, <i32>(to >>> 2), row, allowances);
      }
    }
  }
}

/** `multiplyBlock`, then `selectBlock`, in one call. */
export function compareBlock(
  data: usize,
  numRows: i32,
  queries: usize,
  width: i32,
  dim: i32,
  block: usize,
  asked: Asked,
  firstRow: i32,
  list: usize,
  bias: usize,
): void {
  multiplyBlock(data, numRows, queries, width, dim, block);
  selectBlock(block, numRows, asked, firstRow, list, bias);
}
