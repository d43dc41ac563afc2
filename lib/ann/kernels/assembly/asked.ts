import { score } from './distance';
import { heapPush } from './heap';

/**
 * What blocks of estimates are offered to: a slice of queries and, for each, a heap of its best rows. An estimate is halved
 * and without the query's norm under L2 (q.x - |x|^2/2); `allowances` bound how far the score that answers carry can lie above it.
 * Invariant: a row that is not in the heap, and was offered, scores below `bars`, or equals it and comes later.
 */
@unmanaged
export class Asked {
  /** Of the coded queries (`screenQueries`), in their scales: the longest, and the longest rest that a code leaves. */
  longest: f64;
  coarsest: f64;
  /** f32 [size, dim]: the rows that scores are made from. */
  data: usize;
  dim: i32;
  /** 0 inner product, 1 squared L2. */
  metric: i32;
  numQueries: i32;
  /** Estimates in a line of a block: a multiple of 16, of which those beyond `numQueries` count nothing. */
  width: i32;
  /** f32 [width, dim] */
  queries: usize;
  k: i32;
  /** f32 and i32 [numQueries, k], and i32 [numQueries] how many they are. */
  scores: usize;
  rows: usize;
  sizes: usize;
  /**
   * f32 [numQueries]: the k-th best score that is known, -Infinity before there are k. Others that look for the same queries
   * in other rows share them: whatever one of them writes last, a full heap stands behind it.
   */
  bars: usize;
  /** f32 [width]: a lower estimate proves a score below the bar. */
  needs: usize;
  /** f64 [numQueries], of products in f32 and of coded ones. */
  allowances: usize;
  codedAllowances: usize;
  /** i8 [dim, width], between -64 and 64, and f32 [width] what they are multiplied by. */
  codes: usize;
  scales: usize;
  /** Pairs of a query and a row that have been compared in f32 since the slice began. */
  numCompared: i32;
}

/** What estimates of a block need, from what the heaps hold by now. */
export function startBlock(asked: Asked, allowances: usize): void {
  for (let j = 0; j < asked.width; j++) {
    const need = j < asked.numQueries ? needOf(asked, j, allowances) : f32.MAX_VALUE;
    store<f32>(asked.needs + ((<usize>j) << 2), need);
  }
}

function needOf(asked: Asked, j: i32, allowances: usize): f32 {
  const bar = <f64>load<f32>(asked.bars + ((<usize>j) << 2));
  if (bar === -Infinity) return -Infinity;
  const need = (asked.metric === 0 ? bar : 0.5 * bar) - load<f64>(allowances + ((<usize>j) << 3));
  // Rounded down.
  return <f32>(need - abs(need) * 1.2e-7);
}

/** Compares a query with a row whose estimate is as good as it needs to be. */
export function offerRow(asked: Asked, j: i32, row: i32, allowances: usize): void {
  const stride = (<usize>asked.dim) << 2;
  const at = asked.data + <usize>row * stride;
  const found = score(asked.metric, asked.queries + <usize>j * stride, at, asked.dim);
  asked.numCompared++;
  const heap = (<usize>j * <usize>asked.k) << 2;
  const to = (<usize>j) << 2;
  const scores = asked.scores + heap;
  const size = heapPush(scores, asked.rows + heap, load<i32>(asked.sizes + to), asked.k, found, row);
  store<i32>(asked.sizes + to, size);
  if (size < asked.k || load<f32>(scores) <= load<f32>(asked.bars + to)) return;
  store<f32>(asked.bars + to, load<f32>(scores));
  store<f32>(asked.needs + to, needOf(asked, j, allowances));
}
