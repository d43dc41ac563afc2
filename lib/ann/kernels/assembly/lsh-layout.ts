/** What the kernels know of hash tables over rows. */
@unmanaged
export class Lsh {
  /** f32 [size, dim] */
  data: usize;
  dim: i32;
  size: i32;
  /** 0 inner product, 1 squared L2. */
  metric: i32;
  numTables: i32;
  /** Hash functions of a table: hyperplanes of a bit each, or cross-polytopes. */
  numFunctions: i32;
  /** Coordinates that a function reads: 1 for a hyperplane, else the dimension of the cross-polytope. */
  functionDim: i32;
  /** Bits that a function gives: 1, or those of a vertex. */
  functionBits: i32;
  /** The power of two in which vectors are rotated; at least dim + 1. */
  width: i32;
  numRotations: i32;
  /** u32 [numRotations, 3, width]: 0 or the sign bit. */
  signs: usize;
  /** f32 [dim]: taken off every vector first. */
  centre: usize;
  /** Squared radius of the sphere onto which the added coordinate lifts the rows. */
  radiusSquared: f32;
  /** 1: queries are not lifted (inner product). */
  isQueryFlat: i32;
  keyBits: i32;
  /** So many leading bits of a key are looked up in the directory. */
  directoryBits: i32;
  /** u32 [numTables, 2^directoryBits + 1]: where each range of entries starts. */
  directory: usize;
  /** i32 [numTables, size]: rows by key, then by row. */
  rows: usize;
  /** u32 [numTables, size]: their keys; 0 where the directory tells whole keys. */
  keys: usize;
}

/** f32 numbers that `project` needs beside its result: a vector of `width`. */
export function projectedSize(lsh: Lsh): i32 {
  return lsh.numRotations * lsh.width;
}
