import { heapPush, heapSort } from './heap';
import { score } from './distance';
import { boundOf } from './kd-tree-boxes';
import { innerNodes, KdTree, rangeStart } from './kd-tree-layout';
import { queuePop, queuePush, queuePriority } from './priority-queue';

/**
 * Answers queries (f32 [count, dim]) one after another: `scores` and `rows` [count, k], best first, and in `info` (i32
 * [count, 2]) how many there are and with how many rows the query was compared. Nodes of all trees wait in one queue, the
 * most promising first. With boxes (one tree) a search ends when no node left can hold a better row, so that it is exact;
 * else, or when that is earlier, once `checks` > 0 rows were compared and `k` found. `allowed`: bitmap, 0 for all.
 * `scratch`: a bitmap of rows where there are several trees, then 8 bytes a node of all trees.
 */
export function kdSearch(
  at: usize,
  queries: usize,
  count: i32,
  allowed: usize,
  k: i32,
  checks: i32,
  scratch: usize,
  scores: usize,
  rows: usize,
  info: usize,
): void {
  const tree = changetype<KdTree>(at);
  const outBytes = (<usize>k) << 2;
  for (let i = 0; i < count; i++) {
    searchOne(tree, queries, allowed, k, checks, scratch, scores, rows, info);
    heapSort(scores, rows, load<i32>(info));
    queries += (<usize>tree.dim) << 2;
    scores += outBytes;
    rows += outBytes;
    info += 8;
  }
}

function searchOne(
  tree: KdTree,
  query: usize,
  allowed: usize,
  k: i32,
  checks: i32,
  scratch: usize,
  scores: usize,
  rows: usize,
  info: usize,
): void {
  const inner = innerNodes(tree);
  const perTree = 2 * inner + 1;
  const seenBytes = tree.numTrees > 1 ? ((<usize>tree.size + 511) >>> 9) << 6 : 0;
  const queue = scratch + seenBytes;
  memory.fill(scratch, 0, seenBytes);
  const isExact = tree.boxes !== 0;
  const queryNorm = isExact ? -score(1, query, tree.zeros, tree.dim) : 0;
  waiting = 0;
  for (let t = 0; t < tree.numTrees; t++) waiting = queuePush(queue, waiting, isExact ? f32.MAX_VALUE : 0, t * perTree);
  let size = 0;
  let compared = 0;
  while (waiting > 0) {
    if (checks > 0 && compared >= checks && size === k) break;
    const priority = queuePriority(queue);
    const worst: f32 = size < k ? -f32.MAX_VALUE : load<f32>(scores);
    if (isExact && priority < worst) break;
    const id = queuePop(queue, waiting--);
    const t = id / perTree;
    const node = id % perTree;
    const leaf = isExact
      ? descendBoxes(tree, node, inner, query, queryNorm, worst, queue)
      : descendCuts(tree, t, node, inner, query, priority, queue);
    if (leaf < 0) continue;
    const entries = tree.order + <usize>t * tree.size * 4;
    const end = rangeStart(tree.size, tree.depth, leaf + 1);
    for (let i = rangeStart(tree.size, tree.depth, leaf); i < end; i++) {
      const row = load<i32>(entries + (i << 2));
      const word = (<usize>(row >>> 5)) << 2;
      const bit = (<u32>1) << (row & 31);
      if (allowed !== 0 && (load<u32>(allowed + word) & bit) === 0) continue;
      if (seenBytes > 0) {
        const bits = load<u32>(scratch + word);
        if ((bits & bit) !== 0) continue;
        store<u32>(scratch + word, bits | bit);
      }
      compared++;
      const found = score(tree.metric, query, tree.data + <usize>row * tree.dim * 4, tree.dim);
      if (size < k || found >= load<f32>(scores)) size = heapPush(scores, rows, size, k, found, row);
    }
  }
  store<i32>(info, size);
  store<i32>(info + 4, compared);
}

/** Nodes in the queue of the search that this thread is in. */
let waiting: i32 = 0;

/** The leaf under the more promising children; -1 when none holds a row better than `worst`. The others join the queue. */
function descendBoxes(
  tree: KdTree,
  node: i32,
  inner: i32,
  query: usize,
  queryNorm: f32,
  worst: f32,
  queue: usize,
): i32 {
  while (node < inner) {
    const left = 2 * node + 1;
    const leftBound = boundOf(tree, left, query, queryNorm);
    const rightBound = boundOf(tree, left + 1, query, queryNorm);
    const isRight = rightBound > leftBound;
    if (max(leftBound, rightBound) < worst) return -1;
    const farBound = min(leftBound, rightBound);
    if (!(farBound < worst)) waiting = queuePush(queue, waiting, farBound, isRight ? left : left + 1);
    node = isRight ? left + 1 : left;
  }
  return node - inner;
}

/** The leaf on the query's side of every cut; the other sides join the queue, the further behind their cuts the later. */
function descendCuts(tree: KdTree, t: i32, node: i32, inner: i32, query: usize, priority: f32, queue: usize): i32 {
  while (node < inner) {
    const cut = (<usize>(t * inner + node)) << 2;
    const axis = load<i32>(tree.cutAxes + cut);
    // The added coordinate of a query is 0.
    const value = axis === tree.dim ? <f32>0 : load<f32>(query + ((<usize>axis) << 2));
    const beyond = value - load<f32>(tree.cutValues + cut);
    const left = 2 * node + 1;
    const isRight = beyond > 0;
    waiting = queuePush(queue, waiting, priority - beyond * beyond, t * (2 * inner + 1) + (isRight ? left : left + 1));
    node = isRight ? left + 1 : left;
  }
  return node - inner;
}
