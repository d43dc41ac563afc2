import { dot } from './distance';
import { heapPush } from './heap';

/** Where the parts of an inverted file lie; filled by lib/ann/ivf/parts.ts, field for field in this order. */
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
  /** The panels in 16 bits (see ivf-short.ts) and the scale of each cell. */
  shortPanels: usize;
  shortScales: usize;
  /** With codes: f32 [numLists, dim], the centres less the mean once more, row by row. */
  centres: usize;
  /** Inner product: f32, the length of the longest row. */
  largestNorm: usize;
}

/** Unit roundoff of f32. */
const U: f32 = 5.9604645e-8;

/**
 * By how much two sums of the same `dim` products can differ that round in two orders, fused in 4 lanes and as answers do in
 * 16, relative to the sum of the products' sizes (Higham 2002, lemma 3.1), doubled for the squares' own rounding.
 */
function roundingOf(dim: i32): f32 {
  return 2 * U * (<f32>dim / 4 + <f32>dim / 16 + 32);
}

/** Prepares for a query: under L2 the sizes of products sum up to the score itself, else to |query| |row| at most. */
export function setSlack(best: Best, ivf: Ivf, query: usize): void {
  const rounding = roundingOf(ivf.dim);
  best.relative = ivf.metric === 0 ? 0 : rounding;
  const norm: f32 = ivf.metric === 0 ? sqrt<f32>(dot(query, query, ivf.dim)) : 0;
  best.absolute =
    norm * (ivf.metric === 0 ? load<f32>(ivf.largestNorm) : 0) * rounding + f32.MIN_NORMAL_VALUE * <f32>ivf.dim;
}

/** Up to so many candidates are a heap. */
const SMALL_CAPACITY: i32 = 32;

/**
 * The best candidates of one query so far: few are a heap, whose worst is the threshold; many a buffer that takes whatever may
 * be among the `capacity` best, and is cut back to those when its `room` is full. That is cheaper than a large heap as long as
 * few rows are met in all, which is what lists are for.
 */
@unmanaged
export class Best {
  /** Scores below it are not among the best. */
  threshold: f32;
  /** The threshold less what sums in another order may differ by. */
  limit: f32;
  /** What sums in another order may differ by, relative to the threshold and besides. */
  relative: f32;
  absolute: f32;
  size: i32;
  capacity: i32;
  room: i32;
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
  if (best.capacity <= SMALL_CAPACITY) {
    best.size = heapPush(best.scores, best.rows, best.size, best.capacity, score, row);
    if (best.size === best.capacity) setThreshold(best, load<f32>(best.scores));
    return;
  }
  const at = (<usize>best.size) << 2;
  store<f32>(best.scores + at, score);
  store<i32>(best.rows + at, row);
  if (++best.size === best.room) keepBest(best);
}

/** Cuts back to the best `capacity`, in no order: score descending, then row ascending decide. */
export function keepBest(best: Best): void {
  const capacity = best.capacity;
  if (best.size < capacity || capacity <= SMALL_CAPACITY) return;
  const scores = best.scores;
  const rows = best.rows;
  // Quickselect (Hoare 1961): after each round the place `capacity - 1` lies within [low, high].
  let low = 0;
  let high = best.size - 1;
  while (low < high) {
    const middle = (<usize>((low + high) >>> 1)) << 2;
    const score = load<f32>(scores + middle);
    const row = load<i32>(rows + middle);
    let i = low;
    let j = high;
    while (i <= j) {
      while (isBefore(scores, rows, i, score, row)) i++;
      while (isAfter(scores, rows, j, score, row)) j--;
      if (i > j) break;
      swap(scores, (<usize>i) << 2, (<usize>j) << 2);
      swap(rows, (<usize>i) << 2, (<usize>j) << 2);
      i++;
      j--;
    }
    if (capacity - 1 <= j) high = j;
    else if (capacity - 1 >= i) low = i;
    else break;
  }
  best.size = capacity;
  let worst = load<f32>(scores);
  for (let i = 1; i < capacity; i++) worst = min(worst, load<f32>(scores + ((<usize>i) << 2)));
  setThreshold(best, worst);
}

function setThreshold(best: Best, worst: f32): void {
  best.threshold = worst;
  const limit = worst - best.relative * abs(worst) - best.absolute;
  // Sizes beyond f32 tell nothing.
  best.limit = limit <= worst ? limit : f32.NEGATIVE_INFINITY;
}

function isBefore(scores: usize, rows: usize, i: i32, score: f32, row: i32): bool {
  const other = load<f32>(scores + ((<usize>i) << 2));
  return other > score || (other === score && load<i32>(rows + ((<usize>i) << 2)) < row);
}

function isAfter(scores: usize, rows: usize, i: i32, score: f32, row: i32): bool {
  const other = load<f32>(scores + ((<usize>i) << 2));
  return other < score || (other === score && load<i32>(rows + ((<usize>i) << 2)) > row);
}

/** Four bytes each. */
function swap(base: usize, a: usize, b: usize): void {
  const held = load<i32>(base + a);
  store<i32>(base + a, load<i32>(base + b));
  store<i32>(base + b, held);
}
