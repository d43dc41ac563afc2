import { heapPush } from './heap';
import { align64, Ivf } from './ivf-index';
import { packBytes, packRows, packScores, rowScores, shortPanelBytes, subtract } from './ivf-short';

/** Queries whose scores against all cells are held at once. */
export const COARSE_ROWS: usize = 16;

/** Queries less the mean. */
export function shift(ivf: Ivf, queries: usize, count: i32, out: usize): void {
  const stride = (<usize>ivf.dim) << 2;
  for (let i = 0; i < count; i++) subtract(queries + <usize>i * stride, ivf.mean, ivf.dim, out + <usize>i * stride);
}

/** Bytes at `coarse` that `chooseLists` needs. */
export function coarseScratch(ivf: Ivf): usize {
  return COARSE_ROWS * (<usize>ivf.numPanels * 32 + 4) + align64((COARSE_ROWS >> 2) * packBytes(ivf.dim));
}

/**
 * The `nprobe` best lists of each query by numbers of 16 bits, in no order: numbers and scores [count, nprobe], and how many
 * there are.
 */
export function chooseLists(
  ivf: Ivf,
  queries: usize,
  count: i32,
  nprobe: i32,
  coarse: usize,
  probes: usize,
  probeScores: usize,
  numProbes: usize,
): void {
  const stride = (<usize>ivf.dim) << 2;
  const width = (<usize>ivf.numPanels) << 5;
  const scales = coarse + COARSE_ROWS * width;
  const packs = scales + COARSE_ROWS * 4;
  const panelBytes = shortPanelBytes(ivf.dim);
  for (let first = 0; first < count; first += <i32>COARSE_ROWS) {
    const block = min(<i32>COARSE_ROWS, count - first);
    packRows(queries + <usize>first * stride, stride, block, ivf.dim, 0, 0, packs, scales);
    let panel = 0;
    for (; block === 1 && panel + 4 <= ivf.numPanels; panel += 4) {
      const at = ivf.shortPanels + <usize>panel * panelBytes;
      const side = (<usize>panel) << 5;
      const scale = load<f32>(scales);
      rowScores(packs, scale, ivf.dim, at, ivf.shortScales + side, ivf.cellBias + side, coarse + side);
    }
    for (; panel < ivf.numPanels; panel++) {
      const at = ivf.shortPanels + <usize>panel * panelBytes;
      const side = (<usize>panel) << 5;
      for (let i = 0; i < block; i += 4) {
        const pack = packs + <usize>(i >> 2) * packBytes(ivf.dim);
        const out = coarse + <usize>i * width + side;
        const scale = scales + ((<usize>i) << 2);
        packScores(pack, scale, ivf.dim, at, ivf.shortScales + side, ivf.cellBias + side, out, width);
      }
    }
    for (let i = 0; i < block; i++) {
      const at = <usize>(first + i) * <usize>nprobe * 4;
      const all = coarse + <usize>i * width;
      const found = bestCells(all, ivf.numPanels << 3, ivf.numLists, nprobe, probeScores + at, probes + at);
      store<i32>(numProbes + ((<usize>(first + i)) << 2), found);
    }
  }
}

function bestCells(all: usize, numCells: i32, numLists: i32, nprobe: i32, scores: usize, lists: usize): i32 {
  let size = 0;
  let threshold = f32x4.splat(f32.NEGATIVE_INFINITY);
  for (let cell = 0; cell < numCells; cell += 4) {
    const four = v128.load(all + ((<usize>cell) << 2));
    let passing = i32x4.bitmask(f32x4.gt(four, threshold));
    if (passing === 0) continue;
    for (; passing !== 0; passing &= passing - 1) {
      const lane = cell + ctz<i32>(passing);
      if (lane < numLists) size = heapPush(scores, lists, size, nprobe, load<f32>(all + ((<usize>lane) << 2)), lane);
    }
    if (size === nprobe) threshold = f32x4.splat(load<f32>(scores));
  }
  return size;
}
