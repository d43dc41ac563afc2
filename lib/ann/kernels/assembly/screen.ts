import { Asked, offerRow, startBlock } from './asked';

/*
 * Which rows are worth comparing, by products of whole numbers, which are exact. A row x less the centre m is s c + e: c between
 * -127 and 127, with s of its own; a query q is t d + r: d between -64 and 64, so that 255 times two of them stays within 16 bits,
 * which is how processors without wider sums add them. By Cauchy and Schwarz
 *   q.(x - m) <= t s (c.d) + |r| |s c| + |q| |e|,
 * and q.m is the same for all rows. L2 takes m off the query too, and |x - m|^2/2 off the estimate.
 * Codes are u8 [n, dim], c + 128. Facts are f32 [n, 4]: s; |e| and all that rounding adds in proportion to |q|, rounded up; |s c|,
 * rounded up; and L2's |x - m|^2/2, rounded down.
 */

/** Rounds up what f64 computed and f32 keeps. */
const UP: f64 = 1.000001;

/**
 * Codes the rows [from, to). `centre`: f32 [dim], of length `centreNorm`. `rounding`: relative to |q| |x|, how far scores may
 * exceed what is true; `shrink`: what L2's |x - m|^2/2 is multiplied by, so that it covers all that rounds in proportion to it.
 */
export function screenRows(
  data: usize,
  dim: i32,
  from: i32,
  to: i32,
  centre: usize,
  centreNorm: f64,
  rounding: f64,
  shrink: f64,
  codes: usize,
  facts: usize,
): void {
  const size = <usize>dim;
  for (let row = from; row < to; row++) {
    const x = data + ((<usize>row * size) << 2);
    let largest: f64 = 0;
    for (let j: usize = 0; j < size; j++) {
      largest = max(largest, abs(<f64>load<f32>(x + (j << 2)) - <f64>load<f32>(centre + (j << 2))));
    }
    const scale = <f32>(largest / 127);
    const s = <f64>scale;
    const inverse: f64 = scale > 0 ? 1 / s : 0;
    const out = codes + <usize>row * size;
    let whole: f64 = 0;
    let coded: f64 = 0;
    let rest: f64 = 0;
    for (let j: usize = 0; j < size; j++) {
      const y = <f64>load<f32>(x + (j << 2)) - <f64>load<f32>(centre + (j << 2));
      const c = max<f64>(-127, min<f64>(127, nearest(y * inverse)));
      const e = y - s * c;
      whole += y * y;
      coded += c * c;
      rest += e * e;
      store<u8>(out + j, <u8>(<i32>c + 128));
    }
    const b = s * sqrt<f64>(coded);
    const e = sqrt<f64>(rest);
    const to4 = facts + ((<usize>row) << 4);
    store<f32>(to4, scale);
    store<f32>(to4, <f32>((e + rounding * (b + e + centreNorm)) * UP), 4);
    store<f32>(to4, <f32>(b * UP), 8);
    store<f32>(to4, <f32>(0.5 * whole * shrink), 12);
  }
}

/**
 * Codes the queries of a slice: `codes`, `scales`, `codedAllowances`, `longest` and `coarsest` of `asked`. `shrink` as for rows;
 * `underflow`: what is lost when numbers become smaller than any.
 */
export function screenQueries(asked: Asked, centre: usize, shrink: f64, underflow: f64): void {
  const size = <usize>asked.dim;
  const width = <usize>asked.width;
  memory.fill(asked.codes, 0, size * width);
  memory.fill(asked.scales, 0, width << 2);
  let longest: f64 = 0;
  let coarsest: f64 = 0;
  for (let i: usize = 0; i < <usize>asked.numQueries; i++) {
    const q = asked.queries + ((i * size) << 2);
    let largest: f64 = 0;
    let along: f64 = 0;
    for (let j: usize = 0; j < size; j++) {
      along += <f64>load<f32>(q + (j << 2)) * <f64>load<f32>(centre + (j << 2));
      largest = max(largest, abs(queryAt(asked.metric, q, centre, j)));
    }
    let scale = <f32>(largest / 64);
    if (scale === 0) scale = 1;
    const t = <f64>scale;
    let whole: f64 = 0;
    let rest: f64 = 0;
    for (let j: usize = 0; j < size; j++) {
      const y = queryAt(asked.metric, q, centre, j);
      const d = max<f64>(-64, min<f64>(64, nearest(y / t)));
      const r = y - t * d;
      whole += y * y;
      rest += r * r;
      store<i8>(asked.codes + j * width + i, <i8>(<i32>d));
    }
    store<f32>(asked.scales + (i << 2), scale);
    longest = max(longest, sqrt<f64>(whole) / t);
    coarsest = max(coarsest, sqrt<f64>(rest) / t);
    const allowance = asked.metric === 0 ? along : -0.5 * whole * shrink;
    store<f64>(asked.codedAllowances + (i << 3), allowance + underflow);
  }
  asked.longest = longest;
  asked.coarsest = coarsest;
}

function queryAt(metric: i32, q: usize, centre: usize, j: usize): f64 {
  const y = <f64>load<f32>(q + (j << 2));
  return metric === 0 ? y : y - <f64>load<f32>(centre + (j << 2));
}

/** Copies codes and facts of the listed rows (i32 [count]) into one piece each. */
export function gatherScreened(
  codes: usize,
  facts: usize,
  dim: i32,
  list: usize,
  count: i32,
  toCodes: usize,
  toFacts: usize,
): void {
  for (let i = 0; i < count; i++) {
    const row = <usize>load<i32>(list + ((<usize>i) << 2));
    memory.copy(toCodes + <usize>i * <usize>dim, codes + row * <usize>dim, <usize>dim);
    v128.store(toFacts + ((<usize>i) << 4), v128.load(facts + (row << 4)));
  }
}

/** As `selectBlock`, from the products of codes, i32 [numRows, width], and the facts of the block's rows. */
export function selectScreened(
  block: usize,
  numRows: i32,
  asked: Asked,
  firstRow: i32,
  list: usize,
  facts: usize,
): void {
  const allowances = asked.codedAllowances;
  startBlock(asked, allowances);
  const needs = asked.needs;
  const scales = asked.scales;
  const width = (<usize>asked.width) << 2;
  const longest = asked.longest * UP;
  // The estimate itself is rounded five times; a product is at most |s c| |d|, and |d| at most what both rests come to.
  const coarsest = asked.coarsest * UP + (asked.longest + asked.coarsest) * 5e-7;
  for (let i = 0; i < numRows; i++) {
    const row = list === 0 ? firstRow + i : load<i32>(list + ((<usize>i) << 2));
    const fact = facts + ((<usize>i) << 4);
    const scale = load<f32>(fact);
    const more = <f32>((longest * <f64>load<f32>(fact, 4) + coarsest * <f64>load<f32>(fact, 8)) * UP);
    const off = load<f32>(fact, 12);
    const scale4 = f32x4.splat(scale);
    const more4 = f32x4.splat(more);
    const off4 = f32x4.splat(off);
    const line = block + <usize>i * width;
    for (let at: usize = 0; at < width; at += 64) {
      const v = line + at;
      const t = scales + at;
      const n = needs + at;
      const below0 = f32x4.lt(estimate(v, t, scale4, more4, off4), v128.load(n));
      const below1 = f32x4.lt(estimate(v + 16, t + 16, scale4, more4, off4), v128.load(n, 16));
      const below2 = f32x4.lt(estimate(v + 32, t + 32, scale4, more4, off4), v128.load(n, 32));
      const below3 = f32x4.lt(estimate(v + 48, t + 48, scale4, more4, off4), v128.load(n, 48));
      if (i32x4.bitmask(v128.and(v128.and(below0, below1), v128.and(below2, below3))) === 15) continue;
      for (let to = at; to < at + 64; to += 4) {
        const found = load<f32>(scales + to) * (<f32>load<i32>(line + to) * scale + more) - off;
        if (found < load<f32>(needs + to)) continue;
        if (<i32>(to >>> 2) < asked.numQueries) offerRow(asked, <i32>(to >>> 2), row, allowances);
      }
    }
  }
}

function estimate(v: usize, t: usize, scale: v128, more: v128, off: v128): v128 {
  const found = f32x4.relaxed_madd(f32x4.convert_i32x4_s(v128.load(v)), scale, more);
  return f32x4.sub(f32x4.mul(v128.load(t), found), off);
}
