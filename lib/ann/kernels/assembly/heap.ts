/*
 * The best k of a stream of (score, row): two arrays, f32 scores [k] and i32 rows [k], with `size` entries in use.
 * Invariant: a binary heap whose root is the worst kept pair. The order is total (score descending, then row ascending), so
 * that equal scores always keep the lower rows.
 */

function worse(scoreA: f32, rowA: i32, scoreB: f32, rowB: i32): bool {
  return scoreA < scoreB || (scoreA === scoreB && rowA > rowB);
}

function siftDown(scores: usize, rows: usize, size: i32, score: f32, row: i32): void {
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= size) break;
    let childScore = load<f32>(scores + ((<usize>child) << 2));
    let childRow = load<i32>(rows + ((<usize>child) << 2));
    if (child + 1 < size) {
      const otherScore = load<f32>(scores + ((<usize>(child + 1)) << 2));
      const otherRow = load<i32>(rows + ((<usize>(child + 1)) << 2));
      if (worse(otherScore, otherRow, childScore, childRow)) {
        child++;
        childScore = otherScore;
        childRow = otherRow;
      }
    }
    if (worse(score, row, childScore, childRow)) break;
    store<f32>(scores + ((<usize>i) << 2), childScore);
    store<i32>(rows + ((<usize>i) << 2), childRow);
    i = child;
  }
  store<f32>(scores + ((<usize>i) << 2), score);
  store<i32>(rows + ((<usize>i) << 2), row);
}

/** Offers a pair to a heap of at most `k` > 0. Returns the new size. NaN is never kept once the heap is full. */
export function heapPush(scores: usize, rows: usize, size: i32, k: i32, score: f32, row: i32): i32 {
  if (size === k) {
    if (worse(load<f32>(scores), load<i32>(rows), score, row)) siftDown(scores, rows, k, score, row);
    return k;
  }
  let i = size;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const parentScore = load<f32>(scores + ((<usize>parent) << 2));
    const parentRow = load<i32>(rows + ((<usize>parent) << 2));
    if (!worse(score, row, parentScore, parentRow)) break;
    store<f32>(scores + ((<usize>i) << 2), parentScore);
    store<i32>(rows + ((<usize>i) << 2), parentRow);
    i = parent;
  }
  store<f32>(scores + ((<usize>i) << 2), score);
  store<i32>(rows + ((<usize>i) << 2), row);
  return size + 1;
}

/** Sorts in place, best first; it is no heap afterwards. */
export function heapSort(scores: usize, rows: usize, size: i32): void {
  for (let end = size - 1; end > 0; end--) {
    const lastScore = load<f32>(scores + ((<usize>end) << 2));
    const lastRow = load<i32>(rows + ((<usize>end) << 2));
    store<f32>(scores + ((<usize>end) << 2), load<f32>(scores));
    store<i32>(rows + ((<usize>end) << 2), load<i32>(rows));
    siftDown(scores, rows, end, lastScore, lastRow);
  }
}
