/*
 * Rows as signed bytes [n, stride], symmetric (-127..127), each row with a scale of its own; `stride` is a multiple of 32 of
 * which what is beyond `dim` is zero. The query has 16 bits, so that only the rows are coarse. Sums are whole numbers: the
 * relaxed instructions, whose results may differ between processors, are not used.
 */

/** Rounds f32 [dim] to bytes; zero from there to `stride`. Returns the scale: value = code * scale. */
export function encodeInt8(from: usize, dim: i32, to: usize, stride: i32): f32 {
  memory.fill(to, 0, <usize>stride);
  let largest: f32 = 0;
  for (let i: usize = 0; i < <usize>dim; i++) largest = max<f32>(largest, abs<f32>(load<f32>(from + (i << 2))));
  if (largest === 0) return 0;
  const toCode: f64 = 127.0 / <f64>largest;
  for (let i: usize = 0; i < <usize>dim; i++) {
    store<i8>(to + i, <i8>(<i32>nearest<f64>(<f64>load<f32>(from + (i << 2)) * toCode)));
  }
  return <f32>(<f64>largest / 127.0);
}

/** Inner product of byte codes and a query of 16-bit codes [stride]; the caller keeps the sum within 32 bits. */
export function dotInt8(a: usize, b: usize, stride: i32): i32 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const end = a + <usize>stride;
  while (a < end) {
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load_ext<i8>(a), v128.load(b)));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load_ext<i8>(a, 8), v128.load(b, 16)));
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load_ext<i8>(a, 16), v128.load(b, 32)));
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load_ext<i8>(a, 24), v128.load(b, 48)));
    a += 32;
    b += 64;
  }
  const s = i32x4.add(i32x4.add(s0, s1), i32x4.add(s2, s3));
  return i32x4.extract_lane(s, 0) + i32x4.extract_lane(s, 1) + (i32x4.extract_lane(s, 2) + i32x4.extract_lane(s, 3));
}
