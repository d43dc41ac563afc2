import { innerNodes, KdTree, nodeOf, rangeStart } from './kd-tree-layout';

/** Rows whose spread stands for a node's (Muja & Lowe 2014, section 3.1: 100). */
const SAMPLE_ROWS = 100;
/** A random one of so many widest axes is cut (same section). */
const CANDIDATE_AXES = 5;

/**
 * Cuts the node at `position` of `level` of tree `t` at its median, and what is under it down to `stopLevel`, so that
 * subtrees can be given to threads. `work`: f32 [size] shared by the calls for one tree, of which each uses its own range;
 * `sums`: f32 [2 (dim + 1)] of this call alone.
 */
export function kdBuild(
  at: usize,
  t: i32,
  level: i32,
  position: i32,
  stopLevel: i32,
  seed: u32,
  work: usize,
  sums: usize,
): void {
  const tree = changetype<KdTree>(at);
  const order = tree.order + <usize>t * tree.size * 4;
  if (level === tree.depth) {
    const start = rangeStart(tree.size, level, position);
    sortRows(order + start * 4, <i32>(rangeStart(tree.size, level, position + 1) - start));
    return;
  }
  if (level === stopLevel) return;
  const start = rangeStart(tree.size, level, position);
  const count = <i32>(rangeStart(tree.size, level, position + 1) - start);
  const leftCount = <i32>(rangeStart(tree.size, level + 1, 2 * position + 1) - start);
  const node = nodeOf(level, position);
  const rows = order + start * 4;
  const values = work + start * 4;
  const axis = chooseAxis(tree, rows, count, scramble(seed ^ scramble(<u32>(t * innerNodes(tree) + node))), sums);
  for (let i = 0; i < count; i++) {
    store<f32>(values + ((<usize>i) << 2), coordinate(tree, load<i32>(rows + ((<usize>i) << 2)), axis));
  }
  partition(values, rows, count, leftCount);
  // The greatest on the left: equal values may stand on both sides, and boxes and cuts allow for it.
  let cut = load<f32>(values);
  for (let i = 1; i < leftCount; i++) cut = max(cut, load<f32>(values + ((<usize>i) << 2)));
  const entry = (<usize>(t * innerNodes(tree) + node)) << 2;
  store<i32>(tree.cutAxes + entry, axis);
  store<f32>(tree.cutValues + entry, cut);
  kdBuild(at, t, level + 1, 2 * position, stopLevel, seed, work, sums);
  kdBuild(at, t, level + 1, 2 * position + 1, stopLevel, seed, work, sums);
}

function coordinate(tree: KdTree, row: i32, axis: i32): f32 {
  if (axis === tree.dim) return load<f32>(tree.lift + ((<usize>row) << 2));
  return load<f32>(tree.data + (<usize>row * tree.dim + axis) * 4);
}

/** The axis of the widest spread where the tree is exact, else a random one of the widest. */
function chooseAxis(tree: KdTree, rows: usize, count: i32, random: u32, sums: usize): i32 {
  const numAxes = tree.dim + (tree.lift !== 0 ? 1 : 0);
  const squares = sums + ((<usize>(tree.dim + 1)) << 2);
  const sampled = min(count, SAMPLE_ROWS);
  memory.fill(sums, 0, (<usize>(tree.dim + 1)) << 3);
  const first = load<i32>(rows);
  for (let i = 1; i < sampled; i++) {
    const row = load<i32>(rows + ((<usize>((<i64>i * count) / sampled)) << 2));
    addSpread(tree, row, first, sums, squares);
  }
  const wanted = tree.boxes !== 0 ? 1 : min(CANDIDATE_AXES, numAxes);
  const place = <i32>(random % <u32>wanted);
  let axis = 0;
  // The widest axes one after another; what was taken is marked as negative.
  for (let taken = 0; taken <= place; taken++) {
    let widest: f32 = -1;
    let widestAxis = -1;
    for (let a = 0; a < numAxes; a++) {
      const s = load<f32>(sums + ((<usize>a) << 2));
      const spread = load<f32>(squares + ((<usize>a) << 2)) - (s * s) / <f32>sampled;
      if (spread > widest && load<f32>(squares + ((<usize>a) << 2)) >= 0) {
        widest = spread;
        widestAxis = a;
      }
    }
    // Beyond the axes that vary, another would cut nothing.
    if (widestAxis < 0 || (taken > 0 && widest <= 0)) break;
    axis = widestAxis;
    store<f32>(squares + ((<usize>axis) << 2), -1);
    store<f32>(sums + ((<usize>axis) << 2), 0);
  }
  return axis;
}

/** Adds the differences of a row from the first one, and their squares, axis by axis. */
function addSpread(tree: KdTree, row: i32, first: i32, sums: usize, squares: usize): void {
  const bytes = (<usize>tree.dim) << 2;
  const vectorBytes = bytes & ~15;
  const x = tree.data + <usize>row * bytes;
  const x0 = tree.data + <usize>first * bytes;
  let i: usize = 0;
  for (; i < vectorBytes; i += 16) {
    const d = f32x4.sub(v128.load(x + i), v128.load(x0 + i));
    v128.store(sums + i, f32x4.add(v128.load(sums + i), d));
    v128.store(squares + i, f32x4.add(v128.load(squares + i), f32x4.mul(d, d)));
  }
  for (; i < bytes; i += 4) addDifference(load<f32>(x + i) - load<f32>(x0 + i), sums + i, squares + i);
  if (tree.lift === 0) return;
  addDifference(coordinate(tree, row, tree.dim) - coordinate(tree, first, tree.dim), sums + bytes, squares + bytes);
}

function addDifference(d: f32, sum: usize, square: usize): void {
  store<f32>(sum, load<f32>(sum) + d);
  store<f32>(square, load<f32>(square) + d * d);
}

/** Quickselect by (value, row), which no two entries share: the `leftCount` least come first. */
function partition(values: usize, rows: usize, count: i32, leftCount: i32): void {
  let low = 0;
  let high = count - 1;
  let turn: u32 = 1;
  while (low < high) {
    // Pseudo-random pivots: no order of rows makes it quadratic but by bad luck.
    turn = scramble(turn);
    const pivot = (<usize>(low + <i32>(turn % <u32>(high - low + 1)))) << 2;
    const value = load<f32>(values + pivot);
    const row = load<i32>(rows + pivot);
    let i = low;
    let j = high;
    while (i <= j) {
      while (isLess(values, rows, i, value, row)) i++;
      while (isGreater(values, rows, j, value, row)) j--;
      if (i <= j) {
        swap(values, rows, i, j);
        i++;
        j--;
      }
    }
    if (leftCount - 1 <= j) high = j;
    else if (leftCount - 1 >= i) low = i;
    else return;
  }
}

function isLess(values: usize, rows: usize, i: i32, value: f32, row: i32): bool {
  const v = load<f32>(values + ((<usize>i) << 2));
  return v < value || (v === value && load<i32>(rows + ((<usize>i) << 2)) < row);
}

function isGreater(values: usize, rows: usize, i: i32, value: f32, row: i32): bool {
  const v = load<f32>(values + ((<usize>i) << 2));
  return v > value || (v === value && load<i32>(rows + ((<usize>i) << 2)) > row);
}

function swap(values: usize, rows: usize, i: i32, j: i32): void {
  const a = (<usize>i) << 2;
  const b = (<usize>j) << 2;
  const value = load<f32>(values + a);
  store<f32>(values + a, load<f32>(values + b));
  store<f32>(values + b, value);
  const row = load<i32>(rows + a);
  store<i32>(rows + a, load<i32>(rows + b));
  store<i32>(rows + b, row);
}

/** Insertion sort of a leaf, so that its rows are read in the order in which they lie. */
function sortRows(rows: usize, count: i32): void {
  for (let i = 1; i < count; i++) {
    const row = load<i32>(rows + ((<usize>i) << 2));
    let j = i - 1;
    for (; j >= 0 && load<i32>(rows + ((<usize>j) << 2)) > row; j--) {
      store<i32>(rows + ((<usize>(j + 1)) << 2), load<i32>(rows + ((<usize>j) << 2)));
    }
    store<i32>(rows + ((<usize>(j + 1)) << 2), row);
  }
}

/** A bijection of 32 bits that looks random (the finaliser of MurmurHash3). */
function scramble(value: u32): u32 {
  value += 0x9e3779b9;
  value = (value ^ (value >>> 16)) * 0x85ebca6b;
  value = (value ^ (value >>> 13)) * 0xc2b2ae35;
  return value ^ (value >>> 16);
}
