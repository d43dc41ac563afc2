/*
 * Scores: higher is nearer. Rows are f32 [dim], little-endian, 4-byte aligned; any dimension.
 * One fixed order of plain multiplications and additions, never fused: the same bytes give the same score on every
 * processor and on every path, so these are the scores that answers carry.
 */

function sum(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** Inner product. */
export function dot(a: usize, b: usize, dim: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const end = a + (((<usize>dim) << 2) & ~63);
  while (a < end) {
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a), v128.load(b)));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(a, 16), v128.load(b, 16)));
    s2 = f32x4.add(s2, f32x4.mul(v128.load(a, 32), v128.load(b, 32)));
    s3 = f32x4.add(s3, f32x4.mul(v128.load(a, 48), v128.load(b, 48)));
    a += 64;
    b += 64;
  }
  let rest = dim & 15;
  for (; rest >= 4; rest -= 4) {
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a), v128.load(b)));
    a += 16;
    b += 16;
  }
  let total = sum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  for (; rest > 0; rest--) {
    total += load<f32>(a) * load<f32>(b);
    a += 4;
    b += 4;
  }
  return total;
}

/** Negative squared Euclidean distance. */
export function negativeL2(a: usize, b: usize, dim: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const end = a + (((<usize>dim) << 2) & ~63);
  while (a < end) {
    const d0 = f32x4.sub(v128.load(a), v128.load(b));
    const d1 = f32x4.sub(v128.load(a, 16), v128.load(b, 16));
    const d2 = f32x4.sub(v128.load(a, 32), v128.load(b, 32));
    const d3 = f32x4.sub(v128.load(a, 48), v128.load(b, 48));
    s0 = f32x4.add(s0, f32x4.mul(d0, d0));
    s1 = f32x4.add(s1, f32x4.mul(d1, d1));
    s2 = f32x4.add(s2, f32x4.mul(d2, d2));
    s3 = f32x4.add(s3, f32x4.mul(d3, d3));
    a += 64;
    b += 64;
  }
  let rest = dim & 15;
  for (; rest >= 4; rest -= 4) {
    const d = f32x4.sub(v128.load(a), v128.load(b));
    s0 = f32x4.add(s0, f32x4.mul(d, d));
    a += 16;
    b += 16;
  }
  let total = sum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  for (; rest > 0; rest--) {
    const d = load<f32>(a) - load<f32>(b);
    total += d * d;
    a += 4;
    b += 4;
  }
  return -total;
}

/** `metric`: 0 inner product (and cosine of unit vectors), 1 negative squared L2. */
export function score(metric: i32, a: usize, b: usize, dim: i32): f32 {
  return metric === 0 ? dot(a, b, dim) : negativeL2(a, b, dim);
}
