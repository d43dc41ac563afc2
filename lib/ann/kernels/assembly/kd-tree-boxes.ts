import { innerNodes, KdTree, rangeStart } from './kd-tree-layout';
import { score } from './distance';

function boxOf(tree: KdTree, node: i32): usize {
  return tree.boxes + <usize>node * (2 * <usize>tree.dim + 1) * 4;
}

/**
 * Bounds the nodes [from, to) by the box around their rows and their greatest norm, the last node first: leaves from rows, which
 * come after all others, and the others from their children, which must have theirs.
 */
export function kdBoxes(at: usize, from: i32, to: i32): void {
  const tree = changetype<KdTree>(at);
  const inner = innerNodes(tree);
  for (let node = to - 1; node >= from; node--) {
    if (node < inner) boundByChildren(tree, node);
    else boundByRows(tree, node, node - inner);
  }
}

function boundByRows(tree: KdTree, node: i32, leaf: i32): void {
  const dim = tree.dim;
  const box = boxOf(tree, node);
  const end = rangeStart(tree.size, tree.depth, leaf + 1);
  for (let i = rangeStart(tree.size, tree.depth, leaf), isFirst = true; i < end; i++, isFirst = false) {
    const row = tree.data + <usize>load<i32>(tree.order + (i << 2)) * dim * 4;
    join(box, row, row, -score(1, row, tree.zeros, dim), dim, isFirst);
  }
}

function boundByChildren(tree: KdTree, node: i32): void {
  const dim = tree.dim;
  for (let child = 2 * node + 1; child <= 2 * node + 2; child++) {
    const low = boxOf(tree, child);
    const high = low + ((<usize>dim) << 2);
    join(boxOf(tree, node), low, high, load<f32>(high + ((<usize>dim) << 2)), dim, child === 2 * node + 1);
  }
}

/** Widens a box to hold another one; the first one is taken as it is. */
function join(box: usize, low: usize, high: usize, normSquared: f32, dim: i32, isFirst: bool): void {
  const boxHigh = box + ((<usize>dim) << 2);
  const norm = boxHigh + ((<usize>dim) << 2);
  for (let i: usize = 0; i < (<usize>dim) << 2; i += 4) {
    const l = load<f32>(low + i);
    const h = load<f32>(high + i);
    store<f32>(box + i, isFirst ? l : min(l, load<f32>(box + i)));
    store<f32>(boxHigh + i, isFirst ? h : max(h, load<f32>(boxHigh + i)));
  }
  store<f32>(norm, isFirst ? normSquared : max(normSquared, load<f32>(norm)));
}

/**
 * No row of the node scores higher against the query: by the distance d of the box for L2; else by the box itself, and by
 * q.x = (|q|^2 + |x|^2 - |q - x|^2) / 2 <= (|q|^2 + N - d^2) / 2, with N the greatest |x|^2 (tight for unit vectors).
 */
export function boundOf(tree: KdTree, node: i32, query: usize, queryNorm: f32): f32 {
  const bytes = (<usize>tree.dim) << 2;
  const vectorBytes = bytes & ~15;
  const low = boxOf(tree, node);
  const high = low + bytes;
  const isL2 = tree.metric === 1;
  let outside4 = f32x4.splat(0);
  let product4 = f32x4.splat(0);
  let i: usize = 0;
  for (; i < vectorBytes; i += 16) {
    const q = v128.load(query + i);
    const l = v128.load(low + i);
    const h = v128.load(high + i);
    const d = f32x4.max(f32x4.max(f32x4.sub(l, q), f32x4.sub(q, h)), f32x4.splat(0));
    outside4 = f32x4.add(outside4, f32x4.mul(d, d));
    if (!isL2) product4 = f32x4.add(product4, f32x4.max(f32x4.mul(q, l), f32x4.mul(q, h)));
  }
  let outside = total(outside4);
  let product = total(product4);
  for (; i < bytes; i += 4) {
    const q = load<f32>(query + i);
    const l = load<f32>(low + i);
    const h = load<f32>(high + i);
    const d = max<f32>(max<f32>(l - q, q - h), 0);
    outside += d * d;
    product += max<f32>(q * l, q * h);
  }
  if (isL2) return -outside * (1 - tree.slack);
  const norms = queryNorm + load<f32>(high + bytes);
  return min<f32>(product, (norms - outside) * 0.5) + norms * tree.slack;
}

function total(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}
