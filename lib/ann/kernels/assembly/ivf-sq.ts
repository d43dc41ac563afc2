import { Best, Ivf, offer } from './ivf-index';

/*
 * One signed byte a dimension: a stands for middles[d] + steps[d] * a. Rows are padded with zeros to whole registers. The query
 * times the steps is cut into 14 bits, two numbers of 7, which is what the one instruction for products of bytes takes; so
 * q.p = q.middles + least * sum(a) + step * sum(a * b), exact but for the 14 bits.
 */

export function sqStride(dim: i32): i32 {
  return (dim + 15) & ~15;
}

/** Constants: 0 gains q.middles, 4 the step, 8 the least. Tables: the upper seven bits, then the lower. */
export function sqQuery(ivf: Ivf, query: usize, weight: f32, scratch: usize, tables: usize): void {
  const stride = sqStride(ivf.dim);
  const lower = tables + <usize>stride;
  let least: f32 = f32.POSITIVE_INFINITY;
  let most: f32 = f32.NEGATIVE_INFINITY;
  let middle: f32 = 0;
  for (let d: usize = 0; d < <usize>ivf.dim; d++) {
    const value = weight * load<f32>(query + (d << 2));
    const scaled = value * load<f32>(ivf.steps + (d << 2));
    middle += value * load<f32>(ivf.middles + (d << 2));
    least = min(least, scaled);
    most = max(most, scaled);
  }
  const step = (most - least) / 16383;
  const scale: f32 = step > 0 ? 1 / step : 0;
  memory.fill(tables, 0, <usize>stride * 2);
  for (let d: usize = 0; d < <usize>ivf.dim; d++) {
    const scaled = weight * load<f32>(query + (d << 2)) * load<f32>(ivf.steps + (d << 2));
    const b = <i32>min<f32>(16383, max<f32>(0, nearest<f32>((scaled - least) * scale)));
    store<u8>(tables + d, <u8>(b >> 7));
    store<u8>(lower + d, <u8>(b & 127));
  }
  store<f32>(scratch, load<f32>(scratch) + middle);
  store<f32>(scratch, step, 4);
  store<f32>(scratch, least, 8);
}

function total(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + (i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3));
}

export function sqScan(
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
  const stride = <usize>sqStride(ivf.dim);
  const step = load<f32>(scratch, 4);
  const least = load<f32>(scratch, 8);
  for (let at = from; at < to; at++) {
    const code = ivf.codes + <usize>at * stride;
    let upper = i32x4.splat(0);
    let lower = upper;
    for (let d: usize = 0; d < stride; d += 16) {
      const a = v128.load(code + d);
      upper = i32x4.relaxed_dot_i8x16_i7x16_add_s(a, v128.load(tables + d), upper);
      lower = i32x4.relaxed_dot_i8x16_i7x16_add_s(a, v128.load(tables + stride + d), lower);
    }
    const sum = <f32>(<f64>total(upper) * 128 + <f64>total(lower));
    let score = base + step * sum + least * load<f32>(ivf.rowSums + ((<usize>at) << 2));
    if (ivf.rowBias !== 0) score += load<f32>(ivf.rowBias + ((<usize>at) << 2));
    if (score >= best.threshold) offer(best, score, load<i32>(ivf.ids + ((<usize>at) << 2)), allowed);
  }
}
