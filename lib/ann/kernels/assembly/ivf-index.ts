import { heapPush } from './heap';

/** Where the parts of an inverted file lie; filled by lib/ann/ivf/descriptor.ts, field for field in this order. */
@unmanaged
export class Ivf {
  dim: i32;
  size: i32;
  numLists: i32;
  /** ceil(numLists / 8). */
  numPanels: i32;
  /** 0 inner product, 1 squared L2. */
  metric: i32;
  /** f32 [size, dim], the rows of a list one after the other. */
  rows: usize;
  /** i32 [numLists + 1]: where each list starts among the rows. */
  offsets: usize;
  /** i32 [size]: the number of the row at each position, ascending within a list. */
  ids: usize;
  /** i32 [size]: the position of each row. */
  positions: usize;
  /** The cells' centres less the mean, in panels of 8 (see kmeans.ts). */
  panels: usize;
  cellBias: usize;
  /** f32 [dim], subtracted from queries under L2 so that sums stay small; 0: none. */
  mean: usize;
  /** 0 flat, 1 sq8, 2 pq of 8 bits, 3 pq of 4 bits. */
  codesKind: i32;
  codes: usize;
  /** f32 [size + 32]: the part of an L2 score that depends on the row alone; 0: none. */
  rowBias: usize;
  /** Sub-vectors of pq. */
  m: i32;
  /** pq: [m, 2^bits / 8, dim / m, 8] f32, panels of each sub-vector's centres. */
  codebooks: usize;
  /** f32 [256] of zeros. */
  zeros: usize;
  /** f32 [dim, dim], applied to residuals and queries; 0: none. */
  rotation: usize;
  /** sq8: f32 [dim], the width of a step. */
  steps: usize;
  /** sq8: f32 [dim], the value of code 0. */
  middles: usize;
  /** sq8: f32 [size], the sum of a row's codes. */
  rowSums: usize;
  /** pq of 4 bits: i32 [numLists], the first block of 32 rows of each list. */
  blocks: usize;
}

/** The best candidates of one query so far. */
@unmanaged
export class Best {
  /** Scores below it cannot enter. */
  threshold: f32;
  size: i32;
  capacity: i32;
  scores: usize;
  rows: usize;
}

export function align64(bytes: usize): usize {
  return (bytes + 63) & ~63;
}

export function isAllowed(allowed: usize, row: i32): bool {
  return ((load<u32>(allowed + ((<usize>(row >>> 5)) << 2)) >>> (row & 31)) & 1) !== 0;
}

export function offer(best: Best, score: f32, row: i32, allowed: usize): void {
  if (!(score >= best.threshold)) return;
  if (allowed !== 0 && !isAllowed(allowed, row)) return;
  const size = heapPush(best.scores, best.rows, best.size, best.capacity, score, row);
  best.size = size;
  if (size === best.capacity) best.threshold = load<f32>(best.scores);
}
