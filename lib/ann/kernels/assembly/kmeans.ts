/*
 * Scores of rows against many cells at once. Cells lie in panels of 8, transposed: f32 [numPanels, dim, 8], so that one value
 * of a row meets 8 cells in two registers and no sum over lanes is needed. Each (row, cell) pair is summed over the dimensions
 * in ascending order whatever the tile: the same score on every path. Score = bias + row . cell.
 * bias f32 [numPanels * 8]: 0, or -|cell|^2 / 2 for the order of L2 distances; cells that pad the last panel have -Infinity.
 */

/** Rows whose best cells are kept while a panel is in the first cache. */
const BLOCK_ROWS: i32 = 64;
const STATE_BYTES: usize = 32;

/** Room that `nearestCells` needs at `scratch`. */
export function nearestCellsScratch(): i32 {
  return BLOCK_ROWS * <i32>STATE_BYTES;
}

/**
 * The best cell of the rows [from, to), `stride` bytes apart: its number to cells i32 [to - from], its score to scores
 * (0: nowhere). Equal scores: the lower number. `list`: i32 numbers of the rows, or 0 for the rows as they lie.
 */
export function nearestCells(
  rows: usize,
  stride: i32,
  list: usize,
  from: i32,
  to: i32,
  dim: i32,
  panels: usize,
  bias: usize,
  numPanels: i32,
  cells: usize,
  scores: usize,
  scratch: usize,
): void {
  for (let first = from; first < to; first += BLOCK_ROWS) {
    const count = min(BLOCK_ROWS, to - first);
    memory.fill(scratch, 0, <usize>count * STATE_BYTES);
    for (let i = 0; i < count; i++) {
      v128.store(scratch + <usize>i * STATE_BYTES, f32x4.splat(f32.NEGATIVE_INFINITY));
    }
    for (let panel = 0; panel < numPanels; panel++) {
      const at = panels + <usize>panel * <usize>dim * 32;
      const panelBias = bias + <usize>panel * 32;
      for (let i = 0; i < count; i += 4) {
        bestOfPanel(rows, stride, list, first, i, count, dim, at, panelBias, panel, scratch);
      }
    }
    for (let i = 0; i < count; i++) {
      const state = scratch + <usize>i * STATE_BYTES;
      let best = load<f32>(state);
      let cell = load<i32>(state, 16);
      for (let lane = 1; lane < 4; lane++) {
        const score = load<f32>(state + ((<usize>lane) << 2));
        const other = load<i32>(state + ((<usize>lane) << 2), 16);
        if (score > best || (score === best && other < cell)) {
          best = score;
          cell = other;
        }
      }
      const out = (<usize>(first - from + i)) << 2;
      store<i32>(cells + out, cell);
      if (scores !== 0) store<f32>(scores + out, best);
    }
  }
}

/** The address of row number `i` of the block; past its end the last one again. */
function rowAt(rows: usize, stride: i32, list: usize, first: i32, i: i32, count: i32): usize {
  const at = first + min(i, count - 1);
  const row = list === 0 ? at : load<i32>(list + ((<usize>at) << 2));
  return rows + <usize>(<u32>row) * <usize>stride;
}

function bestOfPanel(
  rows: usize,
  stride: i32,
  list: usize,
  first: i32,
  i: i32,
  count: i32,
  dim: i32,
  panel: usize,
  bias: usize,
  number: i32,
  scratch: usize,
): void {
  let r0 = rowAt(rows, stride, list, first, i, count);
  const d1 = rowAt(rows, stride, list, first, i + 1, count) - r0;
  const d2 = rowAt(rows, stride, list, first, i + 2, count) - r0;
  const d3 = rowAt(rows, stride, list, first, i + 3, count) - r0;
  let a0 = v128.load(bias);
  let b0 = v128.load(bias, 16);
  let a1 = a0;
  let b1 = b0;
  let a2 = a0;
  let b2 = b0;
  let a3 = a0;
  let b3 = b0;
  const end = panel + ((<usize>dim) << 5);
  while (panel < end) {
    const p = v128.load(panel);
    const q = v128.load(panel, 16);
    const x0 = v128.load32_splat(r0);
    const x1 = v128.load32_splat(r0 + d1);
    const x2 = v128.load32_splat(r0 + d2);
    const x3 = v128.load32_splat(r0 + d3);
    a0 = f32x4.relaxed_madd(x0, p, a0);
    b0 = f32x4.relaxed_madd(x0, q, b0);
    a1 = f32x4.relaxed_madd(x1, p, a1);
    b1 = f32x4.relaxed_madd(x1, q, b1);
    a2 = f32x4.relaxed_madd(x2, p, a2);
    b2 = f32x4.relaxed_madd(x2, q, b2);
    a3 = f32x4.relaxed_madd(x3, p, a3);
    b3 = f32x4.relaxed_madd(x3, q, b3);
    r0 += 4;
    panel += 32;
  }
  const state = scratch + <usize>i * STATE_BYTES;
  keepBest(state, a0, b0, number);
  if (i + 1 < count) keepBest(state + STATE_BYTES, a1, b1, number);
  if (i + 2 < count) keepBest(state + 2 * STATE_BYTES, a2, b2, number);
  if (i + 3 < count) keepBest(state + 3 * STATE_BYTES, a3, b3, number);
}

function keepBest(state: usize, low: v128, high: v128, panel: i32): void {
  const lowCells = i32x4.add(i32x4.splat(panel << 3), i32x4(0, 1, 2, 3));
  const isHigh = f32x4.gt(high, low);
  const scores = v128.bitselect(high, low, isHigh);
  const cells = v128.bitselect(i32x4.add(lowCells, i32x4.splat(4)), lowCells, isHigh);
  const best = v128.load(state);
  const isBetter = f32x4.gt(scores, best);
  v128.store(state, v128.bitselect(scores, best, isBetter));
  v128.store(state, v128.bitselect(cells, v128.load(state, 16), isBetter), 16);
}

/** All scores of up to 4 rows that lie `stride` bytes apart: f32 [count, numPanels * 8] to `out`. */
export function cellScores(
  rows: usize,
  stride: i32,
  count: i32,
  dim: i32,
  panels: usize,
  bias: usize,
  numPanels: i32,
  out: usize,
): void {
  const outStride = (<usize>numPanels) << 5;
  let panel = 0;
  for (; count === 1 && panel + 4 <= numPanels; panel += 4) {
    fourPanels(
      rows,
      dim,
      panels + <usize>panel * <usize>dim * 32,
      bias + <usize>panel * 32,
      out + ((<usize>panel) << 5),
    );
  }
  for (; panel < numPanels; panel++) {
    let p = panels + <usize>panel * <usize>dim * 32;
    const end = p + ((<usize>dim) << 5);
    const b = bias + <usize>panel * 32;
    let r = rows;
    const d1 = count > 1 ? <usize>stride : 0;
    const d2 = count > 2 ? <usize>stride * 2 : 0;
    const d3 = count > 3 ? <usize>stride * 3 : 0;
    let a0 = v128.load(b);
    let b0 = v128.load(b, 16);
    let a1 = a0;
    let b1 = b0;
    let a2 = a0;
    let b2 = b0;
    let a3 = a0;
    let b3 = b0;
    while (p < end) {
      const u = v128.load(p);
      const v = v128.load(p, 16);
      const x0 = v128.load32_splat(r);
      const x1 = v128.load32_splat(r + d1);
      const x2 = v128.load32_splat(r + d2);
      const x3 = v128.load32_splat(r + d3);
      a0 = f32x4.relaxed_madd(x0, u, a0);
      b0 = f32x4.relaxed_madd(x0, v, b0);
      a1 = f32x4.relaxed_madd(x1, u, a1);
      b1 = f32x4.relaxed_madd(x1, v, b1);
      a2 = f32x4.relaxed_madd(x2, u, a2);
      b2 = f32x4.relaxed_madd(x2, v, b2);
      a3 = f32x4.relaxed_madd(x3, u, a3);
      b3 = f32x4.relaxed_madd(x3, v, b3);
      r += 4;
      p += 32;
    }
    let at = out + ((<usize>panel) << 5);
    v128.store(at, a0);
    v128.store(at, b0, 16);
    if (count > 1) {
      at += outStride;
      v128.store(at, a1);
      v128.store(at, b1, 16);
    }
    if (count > 2) {
      at += outStride;
      v128.store(at, a2);
      v128.store(at, b2, 16);
    }
    if (count > 3) {
      at += outStride;
      v128.store(at, a3);
      v128.store(at, b3, 16);
    }
  }
}

/** One row against 4 panels: 8 sums at once, so that none waits for the one before. */
function fourPanels(row: usize, dim: i32, panels: usize, bias: usize, out: usize): void {
  const step = (<usize>dim) << 5;
  let s0 = v128.load(bias);
  let s1 = v128.load(bias, 16);
  let s2 = v128.load(bias, 32);
  let s3 = v128.load(bias, 48);
  let s4 = v128.load(bias, 64);
  let s5 = v128.load(bias, 80);
  let s6 = v128.load(bias, 96);
  let s7 = v128.load(bias, 112);
  const end = panels + step;
  for (let p = panels; p < end; p += 32) {
    const x = v128.load32_splat(row);
    s0 = f32x4.relaxed_madd(x, v128.load(p), s0);
    s1 = f32x4.relaxed_madd(x, v128.load(p, 16), s1);
    s2 = f32x4.relaxed_madd(x, v128.load(p + step), s2);
    s3 = f32x4.relaxed_madd(x, v128.load(p + step, 16), s3);
    s4 = f32x4.relaxed_madd(x, v128.load(p + 2 * step), s4);
    s5 = f32x4.relaxed_madd(x, v128.load(p + 2 * step, 16), s5);
    s6 = f32x4.relaxed_madd(x, v128.load(p + 3 * step), s6);
    s7 = f32x4.relaxed_madd(x, v128.load(p + 3 * step, 16), s7);
    row += 4;
  }
  v128.store(out, s0);
  v128.store(out, s1, 16);
  v128.store(out, s2, 32);
  v128.store(out, s3, 48);
  v128.store(out, s4, 64);
  v128.store(out, s5, 80);
  v128.store(out, s6, 96);
  v128.store(out, s7, 112);
}
