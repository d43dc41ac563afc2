/**
 * What the kernels know of a KD-tree or a forest of them. Every tree is complete: 2^depth leaves, and the node at
 * `position` of `level` holds the entries from floor(position * size / 2^level) to the next one's start, so that neither
 * children nor ranges are stored.
 */
@unmanaged
export class KdTree {
  /** f32 [size, dim] */
  data: usize;
  dim: i32;
  size: i32;
  /** 0 inner product, 1 squared L2. */
  metric: i32;
  depth: i32;
  numTrees: i32;
  /** i32 [numTrees, size]: the rows in the order of the leaves. */
  order: usize;
  /** i32 and f32 [numTrees, 2^depth - 1]: a node's left child holds what is not above the value. */
  cutAxes: usize;
  cutValues: usize;
  /** f32 [nodes, 2 dim + 1]: lowest, highest, greatest squared norm; 0 where the tree is searched by its cuts. */
  boxes: usize;
  /** f32 [size]: the coordinate `dim` that makes all rows equally long, so that near in L2 is high in inner product; or 0. */
  lift: usize;
  /** f32 [dim] of zeros. */
  zeros: usize;
  /** By how much a computed score can differ from the true one, relative to the sizes of its terms. */
  slack: f32;
}

export function innerNodes(tree: KdTree): i32 {
  return (1 << tree.depth) - 1;
}

/** Number of a node within its tree. */
export function nodeOf(level: i32, position: i32): i32 {
  return (1 << level) - 1 + position;
}

/** The first entry of a node. */
export function rangeStart(size: i32, level: i32, position: i32): usize {
  return <usize>((<u64>position * <u64>size) >> (<u64>level));
}
