/*
 * Resampling of 8-bit RGB, interleaved, in whole numbers: the same bytes on every processor. Weights are i16 in units of 2^-14
 * and add up to one for each output position; `taps` is even, and reading past the data meets weights of zero.
 * Between the passes lie i16 values in units of 2^-6, which hold the overshoot of negative weights.
 */

/**
 * Rows first: `from` u8 [rows, fromStride] -> `to` i16 [size, stride]; strides in values, `stride` a multiple of 8. Output row y
 * is the weighted sum of the `taps` rows from starts[y] (i32 [size]) on; `weights` is i16 [size, taps].
 */
export function resampleRows(
  from: usize,
  fromStride: i32,
  starts: usize,
  weights: usize,
  taps: i32,
  size: i32,
  to: usize,
  stride: i32,
): void {
  const half = i32x4.splat(1 << 7);
  for (let y = 0; y < size; y++) {
    const first = from + <usize>(load<i32>(starts + ((<usize>y) << 2)) * fromStride);
    const end = weights + ((<usize>taps) << 1);
    for (let i = 0; i < stride; i += 8) {
      let low = half;
      let high = half;
      let at = first + <usize>i;
      for (let w = weights; w < end; w += 4) {
        const pair = v128.load32_splat(w);
        const a = v128.load_ext<u8>(at);
        const b = v128.load_ext<u8>(at + <usize>fromStride);
        low = i32x4.add(low, i32x4.dot_i16x8_s(v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11), pair));
        high = i32x4.add(high, i32x4.dot_i16x8_s(v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15), pair));
        at += (<usize>fromStride) << 1;
      }
      v128.store(to, i16x8.narrow_i32x4_s(i32x4.shr_s(low, 8), i32x4.shr_s(high, 8)));
      to += 16;
    }
    weights = end;
  }
}

/**
 * Then columns: `from` i16 [size, stride] -> `to` f32 [3, size, size]. A value is rounded to a whole one of 0..255 as a picture
 * would hold it, then (value - mean) / std; `norm` is f32 mean [4], std [4]. `starts` counts pixels.
 */
export function resampleColumns(
  from: usize,
  stride: i32,
  starts: usize,
  weights: usize,
  taps: i32,
  size: i32,
  norm: usize,
  to: usize,
): void {
  const half = i32x4.splat(1 << 19);
  const black = i32x4.splat(0);
  const white = i32x4.splat(255);
  const mean = v128.load(norm);
  const std = v128.load(norm, 16);
  const plane = (<usize>(size * size)) << 2;
  const startsEnd = starts + ((<usize>size) << 2);
  for (let y = 0; y < size; y++) {
    let w = weights;
    for (let start = starts; start < startsEnd; start += 4) {
      let sum = half;
      let at = from + <usize>(load<i32>(start) * 6);
      const end = w + ((<usize>taps) << 1);
      while (w < end) {
        // Two pixels, R G B R G B, as pairs of the same channel.
        const two = v128.load(at);
        const pairs = v128.shuffle<i16>(two, two, 0, 3, 1, 4, 2, 5, 2, 5);
        sum = i32x4.add(sum, i32x4.dot_i16x8_s(pairs, v128.load32_splat(w)));
        at += 12;
        w += 4;
      }
      const whole = i32x4.min_s(i32x4.max_s(i32x4.shr_s(sum, 20), black), white);
      const value = f32x4.div(f32x4.sub(f32x4.convert_i32x4_s(whole), mean), std);
      v128.store_lane<f32>(to, value, 0);
      v128.store_lane<f32>(to + plane, value, 1);
      v128.store_lane<f32>(to + 2 * plane, value, 2);
      to += 4;
    }
    from += (<usize>stride) << 1;
  }
}
