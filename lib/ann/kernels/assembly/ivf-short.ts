/*
 * Rows and cells as whole numbers of 16 bits, each with a scale of its own: value = number * scale. Sums of their products are
 * whole as well, so which cell is nearest is the same on every processor and on every path, and a sum takes half the
 * instructions of one in f32. Score = bias + row . cell; it is off by about |row| |cell| / levels, mostly far less.
 * Dimensions go in pairs, padded with zeros to an even number of them. Rows lie in packs of 4: i16 [pairs, 4 rows, 2];
 * cells in panels of 8: i16 [pairs, 8 cells, 2].
 */

/** Pairs of a row of `dim` numbers. */
function pairsOf(dim: i32): usize {
  return (<usize>((dim + 3) >> 2)) << 1;
}

/** Bytes of 4 rows. */
export function packBytes(dim: i32): usize {
  return pairsOf(dim) << 4;
}

/** Bytes of 8 cells. */
export function shortPanelBytes(dim: i32): usize {
  return pairsOf(dim) << 5;
}

/** Numbers reach so far from 0 that a sum of `dim` products of two stays below 2^31. */
function levelsOf(dim: i32): f32 {
  return min<f32>(32767, floor<f32>(sqrt<f32>(2147000000 / <f32>dim)));
}

/** What values are multiplied by; 0 where all are 0 or so near that nothing can be told. */
function factorOf(largest: f32, levels: f32): f32 {
  const factor: f32 = levels / largest;
  return factor < f32.MAX_VALUE ? factor : 0;
}

/** Writes a row less the mean. */
export function subtract(row: usize, mean: usize, dim: i32, out: usize): void {
  const end = (<usize>dim) << 2;
  let d: usize = 0;
  for (; d < (end & ~15); d += 16) v128.store(out + d, f32x4.sub(v128.load(row + d), v128.load(mean + d)));
  for (; d < end; d += 4) store<f32>(out + d, load<f32>(row + d) - load<f32>(mean + d));
}

/**
 * Rounds `count` rows (f32 [dim], `stride` bytes apart) into whole packs, the last row again where there are fewer, and scales.
 * With a mean (f32 [dim]; 0: none) they are taken less that; `held` has room for one of them.
 */
export function packRows(
  rows: usize,
  stride: usize,
  count: i32,
  dim: i32,
  mean: usize,
  held: usize,
  packs: usize,
  scales: usize,
): void {
  for (let i = 0; i < ((count + 3) & ~3); i++) {
    let row = rows + <usize>min(i, count - 1) * stride;
    if (mean !== 0) {
      subtract(row, mean, dim, held);
      row = held;
    }
    const to = packs + <usize>(i >> 2) * packBytes(dim) + ((<usize>(i & 3)) << 2);
    store<f32>(scales + ((<usize>i) << 2), packRow(row, dim, to));
  }
}

/** Pairs are written 16 bytes apart; answers the scale. */
function packRow(row: usize, dim: i32, to: usize): f32 {
  const whole = ((<usize>dim) << 2) & ~15;
  const end = (<usize>dim) << 2;
  let most = f32x4.splat(0);
  for (let d: usize = 0; d < whole; d += 16) most = f32x4.max(most, f32x4.abs(v128.load(row + d)));
  let largest = max<f32>(
    max<f32>(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
    max<f32>(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
  );
  for (let d = whole; d < end; d += 4) largest = max<f32>(largest, abs<f32>(load<f32>(row + d)));
  const levels = levelsOf(dim);
  const factor = factorOf(largest, levels);
  const factors = f32x4.splat(factor);
  for (let d: usize = 0; d < whole; d += 16) {
    const four = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(row + d), factors)));
    const short = i16x8.narrow_i32x4_s(four, four);
    v128.store_lane<i32>(to, short, 0);
    v128.store_lane<i32>(to, short, 1, 16);
    to += 32;
  }
  if (whole < end) {
    store<i32>(to, 0);
    store<i32>(to, 0, 16);
    for (let d = whole; d < end; d += 4) {
      const at = to + (((d - whole) >> 3) << 4) + (((d >> 2) & 1) << 1);
      store<i16>(at, <i16>(<i32>nearest<f32>(load<f32>(row + d) * factor)));
    }
  }
  return factor === 0 ? 0 : largest / levels;
}

/** Rounds the f32 panels of kmeans.ts, with a scale for each cell, f32 [numPanels * 8]. */
export function shortPanels(panels: usize, numPanels: i32, dim: i32, out: usize, scales: usize): void {
  const bytes = shortPanelBytes(dim);
  const levels = levelsOf(dim);
  memory.fill(out, 0, <usize>numPanels * bytes);
  for (let cell: usize = 0; cell < (<usize>numPanels) << 3; cell++) {
    const from = panels + (cell >> 3) * <usize>dim * 32 + ((cell & 7) << 2);
    const to = out + (cell >> 3) * bytes + ((cell & 7) << 2);
    let largest: f32 = 0;
    for (let d: usize = 0; d < <usize>dim; d++) largest = max<f32>(largest, abs<f32>(load<f32>(from + (d << 5))));
    const factor = factorOf(largest, levels);
    for (let d: usize = 0; d < <usize>dim; d++) {
      const value = <i16>(<i32>nearest<f32>(load<f32>(from + (d << 5)) * factor));
      store<i16>(to + ((d >> 1) << 5) + ((d & 1) << 1), value);
    }
    store<f32>(scales + (cell << 2), factor === 0 ? 0 : largest / levels);
  }
}

/** Scores of a pack of 4 rows against a panel of 8 cells: f32 [4, 8], rows `outStride` bytes apart. */
export function packScores(
  pack: usize,
  rowScales: usize,
  dim: i32,
  panel: usize,
  cellScales: usize,
  bias: usize,
  out: usize,
  outStride: usize,
): void {
  let a0 = i32x4.splat(0);
  let b0 = a0;
  let a1 = a0;
  let b1 = a0;
  let a2 = a0;
  let b2 = a0;
  let a3 = a0;
  let b3 = a0;
  const end = panel + shortPanelBytes(dim);
  // Two pairs at a time.
  for (; panel < end; panel += 64, pack += 32) {
    let u = v128.load(panel);
    let v = v128.load(panel, 16);
    let x = v128.load32_splat(pack);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x, u));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(x, v));
    x = v128.load32_splat(pack, 4);
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x, u));
    b1 = i32x4.add(b1, i32x4.dot_i16x8_s(x, v));
    x = v128.load32_splat(pack, 8);
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(x, u));
    b2 = i32x4.add(b2, i32x4.dot_i16x8_s(x, v));
    x = v128.load32_splat(pack, 12);
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(x, u));
    b3 = i32x4.add(b3, i32x4.dot_i16x8_s(x, v));
    u = v128.load(panel, 32);
    v = v128.load(panel, 48);
    x = v128.load32_splat(pack, 16);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x, u));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(x, v));
    x = v128.load32_splat(pack, 20);
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x, u));
    b1 = i32x4.add(b1, i32x4.dot_i16x8_s(x, v));
    x = v128.load32_splat(pack, 24);
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(x, u));
    b2 = i32x4.add(b2, i32x4.dot_i16x8_s(x, v));
    x = v128.load32_splat(pack, 28);
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(x, u));
    b3 = i32x4.add(b3, i32x4.dot_i16x8_s(x, v));
  }
  storeScores(a0, b0, load<f32>(rowScales), cellScales, bias, out);
  storeScores(a1, b1, load<f32>(rowScales, 4), cellScales, bias, out + outStride);
  storeScores(a2, b2, load<f32>(rowScales, 8), cellScales, bias, out + 2 * outStride);
  storeScores(a3, b3, load<f32>(rowScales, 12), cellScales, bias, out + 3 * outStride);
}

/** As `packScores` for the first row of a pack and 4 panels: f32 [32]. 8 sums at once, so that none waits for the one before. */
export function rowScores(
  pack: usize,
  rowScale: f32,
  dim: i32,
  panels: usize,
  cellScales: usize,
  bias: usize,
  out: usize,
): void {
  const bytes = shortPanelBytes(dim);
  let a0 = i32x4.splat(0);
  let b0 = a0;
  let a1 = a0;
  let b1 = a0;
  let a2 = a0;
  let b2 = a0;
  let a3 = a0;
  let b3 = a0;
  const end = panels + bytes;
  for (let p = panels; p < end; p += 32, pack += 16) {
    const x = v128.load32_splat(pack);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x, v128.load(p)));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(x, v128.load(p, 16)));
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x, v128.load(p + bytes)));
    b1 = i32x4.add(b1, i32x4.dot_i16x8_s(x, v128.load(p + bytes, 16)));
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(x, v128.load(p + 2 * bytes)));
    b2 = i32x4.add(b2, i32x4.dot_i16x8_s(x, v128.load(p + 2 * bytes, 16)));
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(x, v128.load(p + 3 * bytes)));
    b3 = i32x4.add(b3, i32x4.dot_i16x8_s(x, v128.load(p + 3 * bytes, 16)));
  }
  storeScores(a0, b0, rowScale, cellScales, bias, out);
  storeScores(a1, b1, rowScale, cellScales + 32, bias + 32, out + 32);
  storeScores(a2, b2, rowScale, cellScales + 64, bias + 64, out + 64);
  storeScores(a3, b3, rowScale, cellScales + 96, bias + 96, out + 96);
}

function storeScores(low: v128, high: v128, rowScale: f32, cellScales: usize, bias: usize, out: usize): void {
  const scale = f32x4.splat(rowScale);
  const lowScales = f32x4.mul(scale, v128.load(cellScales));
  const highScales = f32x4.mul(scale, v128.load(cellScales, 16));
  v128.store(out, f32x4.add(v128.load(bias), f32x4.mul(f32x4.convert_i32x4_s(low), lowScales)));
  v128.store(out, f32x4.add(v128.load(bias, 16), f32x4.mul(f32x4.convert_i32x4_s(high), highScales)), 16);
}
