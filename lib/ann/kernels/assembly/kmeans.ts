import { packBytes, packRows, packScores, shortPanelBytes } from './ivf-short';

/*
 * Scores of rows against many cells at once. Cells lie in panels of 8, transposed: f32 [numPanels, dim, 8], so that one value
 * of a row meets 8 cells in two registers and no sum over lanes is needed; which cell is nearest is told by the same panels
 * rounded to 16 bits (see ivf-short.ts). Score = bias + row . cell.
 * bias f32 [numPanels * 8]: 0, or -|cell|^2 / 2 for the order of L2 distances; cells that pad the last panel have -Infinity.
 */

/** Rows whose best cells are kept while a panel is in the first cache. */
const BLOCK_ROWS: i32 = 64;
const STATE_BYTES: usize = 32;
const TILE_BYTES: usize = 128;

/** Room that `nearestCells` needs at `scratch`. */
export function nearestCellsScratch(dim: i32): i32 {
  return BLOCK_ROWS * <i32>(STATE_BYTES + 4) + <i32>TILE_BYTES + (BLOCK_ROWS >> 2) * <i32>packBytes(dim) + (dim << 2);
}

/**
 * The best cell of the rows [from, to), `stride` bytes apart: its number to cells i32 [to - from], its score, by numbers of 16
 * bits, to scores (0: nowhere). Equal scores: the lower number. With a mean (f32 [dim]; 0: none) rows are taken less that.
 */
export function nearestCells(
  rows: usize,
  stride: i32,
  from: i32,
  to: i32,
  dim: i32,
  mean: usize,
  panels: usize,
  panelScales: usize,
  bias: usize,
  numPanels: i32,
  cells: usize,
  scores: usize,
  scratch: usize,
): void {
  const tile = scratch + <usize>BLOCK_ROWS * STATE_BYTES;
  const rowScales = tile + TILE_BYTES;
  const packs = rowScales + <usize>BLOCK_ROWS * 4;
  const held = packs + <usize>(BLOCK_ROWS >> 2) * packBytes(dim);
  const panelBytes = shortPanelBytes(dim);
  for (let first = from; first < to; first += BLOCK_ROWS) {
    const count = min(BLOCK_ROWS, to - first);
    packRows(rows + <usize>(<u32>first) * <usize>stride, <usize>stride, count, dim, mean, held, packs, rowScales);
    memory.fill(scratch, 0, <usize>BLOCK_ROWS * STATE_BYTES);
    for (let i = 0; i < BLOCK_ROWS; i++) {
      v128.store(scratch + <usize>i * STATE_BYTES, f32x4.splat(f32.NEGATIVE_INFINITY));
    }
    for (let panel = 0; panel < numPanels; panel++) {
      const at = panels + <usize>panel * panelBytes;
      const side = (<usize>panel) << 5;
      for (let i = 0; i < count; i += 4) {
        const pack = packs + <usize>(i >> 2) * packBytes(dim);
        packScores(pack, rowScales + ((<usize>i) << 2), dim, at, panelScales + side, bias + side, tile, STATE_BYTES);
        for (let j: usize = 0; j < 4; j++) {
          const scored = tile + j * STATE_BYTES;
          keepBest(scratch + (<usize>i + j) * STATE_BYTES, v128.load(scored), v128.load(scored, 16), panel);
        }
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

/** The scores of one row, f32 [numPanels * 8] to `out`, in plain products and sums: the same on every processor. */
export function cellScores(row: usize, dim: i32, panels: usize, bias: usize, numPanels: i32, out: usize): void {
  const step = (<usize>dim) << 5;
  let panel = 0;
  for (; panel + 4 <= numPanels; panel += 4) {
    const side = (<usize>panel) << 5;
    fourPanels(row, dim, panels + <usize>panel * step, bias + side, out + side);
  }
  for (; panel < numPanels; panel++) {
    const side = (<usize>panel) << 5;
    const end = panels + <usize>(panel + 1) * step;
    let low = v128.load(bias + side);
    let high = v128.load(bias + side, 16);
    let r = row;
    for (let p = panels + <usize>panel * step; p < end; p += 32, r += 4) {
      const x = v128.load32_splat(r);
      low = f32x4.add(low, f32x4.mul(x, v128.load(p)));
      high = f32x4.add(high, f32x4.mul(x, v128.load(p, 16)));
    }
    v128.store(out + side, low);
    v128.store(out + side, high, 16);
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
    s0 = f32x4.add(s0, f32x4.mul(x, v128.load(p)));
    s1 = f32x4.add(s1, f32x4.mul(x, v128.load(p, 16)));
    s2 = f32x4.add(s2, f32x4.mul(x, v128.load(p + step)));
    s3 = f32x4.add(s3, f32x4.mul(x, v128.load(p + step, 16)));
    s4 = f32x4.add(s4, f32x4.mul(x, v128.load(p + 2 * step)));
    s5 = f32x4.add(s5, f32x4.mul(x, v128.load(p + 2 * step, 16)));
    s6 = f32x4.add(s6, f32x4.mul(x, v128.load(p + 3 * step)));
    s7 = f32x4.add(s7, f32x4.mul(x, v128.load(p + 3 * step, 16)));
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
