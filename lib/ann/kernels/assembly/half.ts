/*
 * Rows as 16-bit floats [n, stride]: `stride` is a multiple of 16 of which what is beyond `dim` is zero. All values were
 * scaled by one power of two to below 2^15, so none is infinite and few are subnormal.
 * Shifted into the place of the bits of an f32, a half reads as its value times 2^-112; the query was multiplied by 2^112.
 */
const TO_F32_EXPONENT: f32 = reinterpret<f32>((127 - 112) << 23);

/** Rounds f32 [dim] * scale to the nearest halves, ties to even; zero from there to `stride`. */
export function encodeHalf(from: usize, dim: i32, scale: f32, to: usize, stride: i32): void {
  memory.fill(to, 0, (<usize>stride) << 1);
  for (let i: usize = 0; i < <usize>dim; i++) {
    const bits = reinterpret<u32>(load<f32>(from + (i << 2)) * scale * TO_F32_EXPONENT);
    const magnitude = bits & 0x7fffffff;
    const half = (magnitude + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    store<u16>(to + (i << 1), <u16>(half | ((bits >> 16) & 0x8000)));
  }
}

function widen(halves: v128): v128 {
  // Sign, 5 bits of exponent and 10 of mantissa go where an f32 has them; the copies of the sign that the shift makes go.
  return v128.and(i32x4.shr_s(halves, 3), i32x4.splat(0x8fffffff));
}

/** Inner product of halves and an f32 query [stride], in a fixed order of plain operations. */
export function dotHalf(a: usize, b: usize, stride: i32): f32 {
  const zero = i32x4.splat(0);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const end = a + ((<usize>stride) << 1);
  while (a < end) {
    const h0 = v128.load(a);
    const h1 = v128.load(a, 16);
    const x0 = widen(v128.shuffle<i16>(zero, h0, 0, 8, 1, 9, 2, 10, 3, 11));
    const x1 = widen(v128.shuffle<i16>(zero, h0, 4, 12, 5, 13, 6, 14, 7, 15));
    const x2 = widen(v128.shuffle<i16>(zero, h1, 0, 8, 1, 9, 2, 10, 3, 11));
    const x3 = widen(v128.shuffle<i16>(zero, h1, 4, 12, 5, 13, 6, 14, 7, 15));
    s0 = f32x4.add(s0, f32x4.mul(x0, v128.load(b)));
    s1 = f32x4.add(s1, f32x4.mul(x1, v128.load(b, 16)));
    s2 = f32x4.add(s2, f32x4.mul(x2, v128.load(b, 32)));
    s3 = f32x4.add(s3, f32x4.mul(x3, v128.load(b, 48)));
    a += 32;
    b += 64;
  }
  const s = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  return f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 1) + (f32x4.extract_lane(s, 2) + f32x4.extract_lane(s, 3));
}
