import { score } from './distance';
import { Best, Ivf, isAllowed, offer } from './ivf-index';

/*
 * Rows of flat lists. Fused sums, four lanes over the dimensions, tell which rows can be among the best; those few are scored
 * in the one order of sums that gives the scores of answers, while they are in the cache. So single searches and batches, four
 * queries at a time, find the same.
 */

const BEST_BYTES: usize = offsetof<Best>();

/** Offers the rows of a list to one query. */
export function scanListFlat(ivf: Ivf, list: i32, query: usize, best: Best, allowed: usize): void {
  if (ivf.metric === 0) Inlined.oneQuery(false, ivf, list, query, best, allowed);
  else Inlined.oneQuery(true, ivf, list, query, best, allowed);
}

/** Offers the rows of a list to the `count` queries (1 to 4) whose numbers `pairs` holds. */
export function scanListFlatByFour(
  ivf: Ivf,
  list: i32,
  queries: usize,
  pairs: usize,
  count: i32,
  bests: usize,
  pack: usize,
  allowed: usize,
): void {
  packQueries(ivf, queries, pairs, count, pack);
  if (ivf.metric === 0) Inlined.fourQueries(false, ivf, list, queries, pairs, count, bests, pack, allowed);
  else Inlined.fourQueries(true, ivf, list, queries, pairs, count, bests, pack, allowed);
}

/** Four queries side by side: [dim / 4, 4 queries, 4], then [dim % 4, 4 queries]. Where there are fewer, the last again. */
function packQueries(ivf: Ivf, queries: usize, pairs: usize, count: i32, pack: usize): void {
  const stride = (<usize>ivf.dim) << 2;
  const whole = stride & ~15;
  for (let i = 0; i < 4; i++) {
    const query = queries + <usize>load<i32>(pairs + ((<usize>min(i, count - 1)) << 2)) * stride;
    const at = pack + ((<usize>i) << 4);
    for (let d: usize = 0; d < whole; d += 16) v128.store(at + (d << 2), v128.load(query + d));
    const tail = pack + (whole << 2) + ((<usize>i) << 2);
    for (let d = whole; d < stride; d += 4) store<f32>(tail + ((d - whole) << 2), load<f32>(query + d));
  }
}

function limits(b0: Best, b1: Best, b2: Best, b3: Best): v128 {
  return f32x4(b0.limit, b1.limit, b2.limit, b3.limit);
}

function bestOf(bests: usize, pairs: usize, i: i32): Best {
  return changetype<Best>(bests + <usize>load<i32>(pairs + ((<usize>i) << 2)) * BEST_BYTES);
}

function offerRow(ivf: Ivf, best: Best, query: usize, at: usize, row: i32, allowed: usize): void {
  if (allowed !== 0 && !isAllowed(allowed, row)) return;
  offer(best, score(ivf.metric, query, at, ivf.dim), row, 0);
}

function offerTo(
  ivf: Ivf,
  queries: usize,
  pairs: usize,
  lane: i32,
  bests: usize,
  at: usize,
  row: i32,
  allowed: usize,
): void {
  const query = <usize>load<i32>(pairs + ((<usize>lane) << 2)) * <usize>ivf.dim * 4;
  offerRow(ivf, bestOf(bests, pairs, lane), queries + query, at, row, allowed);
}

function offerLanes(
  ivf: Ivf,
  queries: usize,
  pairs: usize,
  count: i32,
  bests: usize,
  passing: i32,
  at: usize,
  row: i32,
  allowed: usize,
): void {
  if (passing & 1) offerTo(ivf, queries, pairs, 0, bests, at, row, allowed);
  if (passing & 2 && count > 1) offerTo(ivf, queries, pairs, 1, bests, at, row, allowed);
  if (passing & 4 && count > 2) offerTo(ivf, queries, pairs, 2, bests, at, row, allowed);
  if (passing & 8 && count > 3) offerTo(ivf, queries, pairs, 3, bests, at, row, allowed);
}

/** Inlined, so that each metric has loops of its own. */
class Inlined {
  /** Lane i: the sum of the lanes of the i-th. */
  @inline
  static sums(a: v128, b: v128, c: v128, d: v128): v128 {
    const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
    const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
    return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
  }

  @inline
  static step(l2: bool, x: v128, y: v128, total: v128): v128 {
    if (l2) {
      const d = f32x4.sub(x, y);
      return f32x4.relaxed_madd(d, d, total);
    }
    return f32x4.relaxed_madd(x, y, total);
  }

  @inline
  static oneQuery(l2: bool, ivf: Ivf, list: i32, query: usize, best: Best, allowed: usize): void {
    const dim = ivf.dim;
    const stride = (<usize>dim) << 2;
    const whole = stride & ~15;
    const from = load<i32>(ivf.offsets + ((<usize>list) << 2));
    const to = load<i32>(ivf.offsets + ((<usize>list) << 2), 4);
    const ids = ivf.ids;
    for (let at = from; at < to; at += 4) {
      const last = to - 1 - at;
      const row0 = load<i32>(ids + ((<usize>at) << 2));
      const row1 = load<i32>(ids + ((<usize>(at + min(1, last))) << 2));
      const row2 = load<i32>(ids + ((<usize>(at + min(2, last))) << 2));
      const row3 = load<i32>(ids + ((<usize>(at + min(3, last))) << 2));
      if (
        allowed !== 0 &&
        !isAllowed(allowed, row0) &&
        !isAllowed(allowed, row1) &&
        !isAllowed(allowed, row2) &&
        !isAllowed(allowed, row3)
      ) {
        continue;
      }
      const r0 = ivf.rows + <usize>at * stride;
      const r1 = r0 + <usize>min(1, last) * stride;
      const r2 = r0 + <usize>min(2, last) * stride;
      const r3 = r0 + <usize>min(3, last) * stride;
      let s0 = f32x4.splat(0);
      let s1 = s0;
      let s2 = s0;
      let s3 = s0;
      for (let d: usize = 0; d < whole; d += 16) {
        const q = v128.load(query + d);
        s0 = Inlined.step(l2, q, v128.load(r0 + d), s0);
        s1 = Inlined.step(l2, q, v128.load(r1 + d), s1);
        s2 = Inlined.step(l2, q, v128.load(r2 + d), s2);
        s3 = Inlined.step(l2, q, v128.load(r3 + d), s3);
      }
      let total = Inlined.sums(s0, s1, s2, s3);
      for (let d = whole; d < stride; d += 4) {
        const x = f32x4(load<f32>(r0 + d), load<f32>(r1 + d), load<f32>(r2 + d), load<f32>(r3 + d));
        total = Inlined.step(l2, v128.load32_splat(query + d), x, total);
      }
      if (l2) total = f32x4.neg(total);
      const passing = i32x4.bitmask(f32x4.ge(total, f32x4.splat(best.limit)));
      if (passing === 0) continue;
      if (passing & 1) offerRow(ivf, best, query, r0, row0, allowed);
      if (passing & 2 && last >= 1) offerRow(ivf, best, query, r1, row1, allowed);
      if (passing & 4 && last >= 2) offerRow(ivf, best, query, r2, row2, allowed);
      if (passing & 8 && last >= 3) offerRow(ivf, best, query, r3, row3, allowed);
    }
  }

  @inline
  static fourQueries(
    l2: bool,
    ivf: Ivf,
    list: i32,
    queries: usize,
    pairs: usize,
    count: i32,
    bests: usize,
    pack: usize,
    allowed: usize,
  ): void {
    const stride = (<usize>ivf.dim) << 2;
    const whole = stride & ~15;
    const from = load<i32>(ivf.offsets + ((<usize>list) << 2));
    const to = load<i32>(ivf.offsets + ((<usize>list) << 2), 4);
    const b0 = bestOf(bests, pairs, 0);
    const b1 = bestOf(bests, pairs, min(1, count - 1));
    const b2 = bestOf(bests, pairs, min(2, count - 1));
    const b3 = bestOf(bests, pairs, min(3, count - 1));
    let limit = limits(b0, b1, b2, b3);
    for (let at = from; at < to; at += 2) {
      const isPair = at + 1 < to;
      const row = load<i32>(ivf.ids + ((<usize>at) << 2));
      const next = isPair ? load<i32>(ivf.ids + ((<usize>at) << 2), 4) : row;
      if (allowed !== 0 && !isAllowed(allowed, row) && !isAllowed(allowed, next)) continue;
      const first = ivf.rows + <usize>at * stride;
      let r = first;
      const other = isPair ? stride : 0;
      let a0 = f32x4.splat(0);
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let c0 = a0;
      let c1 = a0;
      let c2 = a0;
      let c3 = a0;
      let p = pack;
      const end = r + whole;
      for (; r < end; r += 16, p += 64) {
        const x = v128.load(r);
        const y = v128.load(r + other);
        const q0 = v128.load(p);
        const q1 = v128.load(p, 16);
        const q2 = v128.load(p, 32);
        const q3 = v128.load(p, 48);
        a0 = Inlined.step(l2, q0, x, a0);
        c0 = Inlined.step(l2, q0, y, c0);
        a1 = Inlined.step(l2, q1, x, a1);
        c1 = Inlined.step(l2, q1, y, c1);
        a2 = Inlined.step(l2, q2, x, a2);
        c2 = Inlined.step(l2, q2, y, c2);
        a3 = Inlined.step(l2, q3, x, a3);
        c3 = Inlined.step(l2, q3, y, c3);
      }
      let total = Inlined.sums(a0, a1, a2, a3);
      let totalNext = Inlined.sums(c0, c1, c2, c3);
      for (let d = whole; d < stride; d += 4, p += 16, r += 4) {
        const q = v128.load(p);
        total = Inlined.step(l2, q, v128.load32_splat(r), total);
        totalNext = Inlined.step(l2, q, v128.load32_splat(r + other), totalNext);
      }
      if (l2) {
        total = f32x4.neg(total);
        totalNext = f32x4.neg(totalNext);
      }
      const passing = i32x4.bitmask(f32x4.ge(total, limit));
      const passingNext = isPair ? i32x4.bitmask(f32x4.ge(totalNext, limit)) : 0;
      if ((passing | passingNext) === 0) continue;
      if (passing !== 0) offerLanes(ivf, queries, pairs, count, bests, passing, first, row, allowed);
      if (passingNext !== 0) offerLanes(ivf, queries, pairs, count, bests, passingNext, first + other, next, allowed);
      limit = limits(b0, b1, b2, b3);
    }
  }
}
