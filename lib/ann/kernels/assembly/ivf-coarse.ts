import { heapPush } from './heap';
import { Ivf } from './ivf-index';
import { cellScores } from './kmeans';

/** Queries whose scores against all cells are held at once. */
export const COARSE_ROWS: usize = 16;

/** Queries less the mean. */
export function shift(ivf: Ivf, queries: usize, count: i32, out: usize): void {
  for (let i = 0; i < count; i++) {
    for (let d = 0; d < ivf.dim; d++) {
      const at = (<usize>(i * ivf.dim + d)) << 2;
      store<f32>(out + at, load<f32>(queries + at) - load<f32>(ivf.mean + ((<usize>d) << 2)));
    }
  }
}

/** The `nprobe` best lists of each query, in no order: numbers and scores [count, nprobe], and how many there are. */
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
  const stride = ivf.dim << 2;
  const numCells = ivf.numPanels << 3;
  for (let first = 0; first < count; first += <i32>COARSE_ROWS) {
    const block = min(<i32>COARSE_ROWS, count - first);
    for (let i = 0; i < block; i += 4) {
      const at = queries + <usize>(first + i) * <usize>stride;
      const out = coarse + <usize>i * <usize>numCells * 4;
      cellScores(at, stride, min(4, block - i), ivf.dim, ivf.panels, ivf.cellBias, ivf.numPanels, out);
    }
    for (let i = 0; i < block; i++) {
      const at = <usize>(first + i) * <usize>nprobe * 4;
      const found = bestCells(
        coarse + <usize>i * <usize>numCells * 4,
        numCells,
        ivf.numLists,
        nprobe,
        probeScores + at,
        probes + at,
      );
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
