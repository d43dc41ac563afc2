import { Best, Ivf, offer } from './ivf-index';

/** Offers a list's rows: the sum of one table entry for each byte of the code (Jegou et al. 2011, asymmetric distances). */
export function pq8Scan(ivf: Ivf, list: i32, base: f32, tables: usize, best: Best, allowed: usize): void {
  const from = load<i32>(ivf.offsets + ((<usize>list) << 2));
  const to = load<i32>(ivf.offsets + ((<usize>list) << 2), 4);
  const m = ivf.m;
  const whole = tables + ((<usize>(m & ~3)) << 10);
  const end = tables + ((<usize>m) << 10);
  let code = ivf.codes + <usize>from * <usize>m;
  for (let at = from; at < to; at++) {
    let a = base;
    let b: f32 = 0;
    let c: f32 = 0;
    let d: f32 = 0;
    let table = tables;
    for (; table < whole; table += 4096, code += 4) {
      a += load<f32>(table + ((<usize>load<u8>(code)) << 2));
      b += load<f32>(table + ((<usize>load<u8>(code, 1)) << 2), 1024);
      c += load<f32>(table + ((<usize>load<u8>(code, 2)) << 2), 2048);
      d += load<f32>(table + ((<usize>load<u8>(code, 3)) << 2), 3072);
    }
    for (; table < end; table += 1024, code++) a += load<f32>(table + ((<usize>load<u8>(code)) << 2));
    let score = a + b + (c + d);
    if (ivf.rowBias !== 0) score += load<f32>(ivf.rowBias + ((<usize>at) << 2));
    if (score >= best.threshold) offer(best, score, load<i32>(ivf.ids + ((<usize>at) << 2)), allowed);
  }
}

/**
 * Tables of 16 entries in one byte each (Andre, Kermarrec & Le Scouarnec 2015, "Cache locality is not enough", and their
 * "Quicker ADC", 2021): over the f32 tables
 * they are made from, behind which they lie. One step for all, so that sums of bytes are sums of scores.
 * Constants: 4 the step, 8 the sum of the least entries.
 */
export function pq4Tables(ivf: Ivf, tables: usize, scratch: usize): void {
  const bytes = tables + ((<usize>ivf.m) << 6);
  let widest: f32 = 0;
  let least: f32 = 0;
  for (let j = 0; j < ivf.m; j++) {
    const low = lowest(tables + ((<usize>j) << 6));
    least += low;
    for (let i: usize = 0; i < 64; i += 4) widest = max(widest, load<f32>(tables + ((<usize>j) << 6) + i) - low);
  }
  const step = widest / 255;
  const scale: f32 = step > 0 ? 1 / step : 0;
  for (let j = 0; j < ivf.m; j++) {
    const table = tables + ((<usize>j) << 6);
    const low = lowest(table);
    for (let i: usize = 0; i < 16; i++) {
      const value = nearest<f32>((load<f32>(table + (i << 2)) - low) * scale);
      store<u8>(bytes + ((<usize>j) << 4) + i, <u8>min<f32>(255, value));
    }
  }
  store<f32>(scratch, step, 4);
  store<f32>(scratch, least, 8);
}

function lowest(table: usize): f32 {
  let low = load<f32>(table);
  for (let i: usize = 4; i < 64; i += 4) low = min(low, load<f32>(table + i));
  return low;
}

/**
 * Offers a list's rows from blocks of 32 with 4-bit codes: byte i of a sub-vector's 16 holds row i in its low half and row
 * i + 16 in its high half, so that one swizzle looks up 16 rows.
 */
export function pq4Scan(
  ivf: Ivf,
  list: i32,
  base: f32,
  scratch: usize,
  tables: usize,
  best: Best,
  allowed: usize,
): void {
  const from = load<i32>(ivf.offsets + ((<usize>list) << 2));
  const to = load<i32>(ivf.offsets + ((<usize>list) << 2), 4);
  const bytes = tables + ((<usize>ivf.m) << 6);
  const end = bytes + ((<usize>ivf.m) << 4);
  const step = f32x4.splat(load<f32>(scratch, 4));
  const start = f32x4.splat(base + load<f32>(scratch, 8));
  const low = i8x16.splat(15);
  let code = ivf.codes + ((<usize>load<i32>(ivf.blocks + ((<usize>list) << 2)) * <usize>ivf.m) << 4);
  for (let at = from; at < to; at += 32) {
    // Two sums of bytes in each 16 bits: the lower byte's with what the upper adds above it, and the upper byte's alone.
    let both0 = i16x8.splat(0);
    let high0 = both0;
    let both1 = both0;
    let high1 = both0;
    for (let table = bytes; table < end; table += 16, code += 16) {
      const entries = v128.load(table);
      const codes = v128.load(code);
      const x = i8x16.relaxed_swizzle(entries, v128.and(codes, low));
      const y = i8x16.relaxed_swizzle(entries, i8x16.shr_u(codes, 4));
      both0 = i16x8.add(both0, x);
      high0 = i16x8.add(high0, i16x8.shr_u(x, 8));
      both1 = i16x8.add(both1, y);
      high1 = i16x8.add(high1, i16x8.shr_u(y, 8));
    }
    offer16(ivf, at, to, both0, high0, start, step, best, allowed);
    if (at + 16 < to) offer16(ivf, at + 16, to, both1, high1, start, step, best, allowed);
  }
}

function offer16(
  ivf: Ivf,
  at: i32,
  to: i32,
  both: v128,
  high: v128,
  start: v128,
  step: v128,
  best: Best,
  allowed: usize,
): void {
  const even = i16x8.sub(both, i16x8.shl(high, 8));
  const first = v128.shuffle<i16>(even, high, 0, 8, 1, 9, 2, 10, 3, 11);
  const second = v128.shuffle<i16>(even, high, 4, 12, 5, 13, 6, 14, 7, 15);
  offer4(ivf, at, to, i32x4.extend_low_i16x8_u(first), start, step, best, allowed);
  offer4(ivf, at + 4, to, i32x4.extend_high_i16x8_u(first), start, step, best, allowed);
  offer4(ivf, at + 8, to, i32x4.extend_low_i16x8_u(second), start, step, best, allowed);
  offer4(ivf, at + 12, to, i32x4.extend_high_i16x8_u(second), start, step, best, allowed);
}

function offer4(ivf: Ivf, at: i32, to: i32, sums: v128, start: v128, step: v128, best: Best, allowed: usize): void {
  let scores = f32x4.add(start, f32x4.mul(f32x4.convert_i32x4_s(sums), step));
  if (ivf.rowBias !== 0) scores = f32x4.add(scores, v128.load(ivf.rowBias + ((<usize>at) << 2)));
  const passing = i32x4.bitmask(f32x4.ge(scores, f32x4.splat(best.threshold)));
  if (passing === 0) return;
  const ids = ivf.ids + ((<usize>at) << 2);
  if (passing & 1 && at < to) offer(best, f32x4.extract_lane(scores, 0), load<i32>(ids), allowed);
  if (passing & 2 && at + 1 < to) offer(best, f32x4.extract_lane(scores, 1), load<i32>(ids, 4), allowed);
  if (passing & 4 && at + 2 < to) offer(best, f32x4.extract_lane(scores, 2), load<i32>(ids, 8), allowed);
  if (passing & 8 && at + 3 < to) offer(best, f32x4.extract_lane(scores, 3), load<i32>(ids, 12), allowed);
}
