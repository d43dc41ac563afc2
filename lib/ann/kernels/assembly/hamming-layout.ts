/** What the kernels know of binary codes: bit j of x is whether x . column j of the weights + bias j > 0. */
@unmanaged
export class Codes {
  /** f32 [size, dim] */
  data: usize;
  dim: i32;
  size: i32;
  /** 0 inner product, 1 squared L2. */
  metric: i32;
  /** A multiple of 64. */
  bits: i32;
  /** f32 [dim + 1, bits]; the last row weighs the added coordinate of rows. */
  weights: usize;
  /** f32 [bits] each. */
  rowBias: usize;
  queryBias: usize;
  /** f32 [size]: the added coordinate of rows (inner product), 0 for queries; or 0. */
  lift: usize;
  /** u64 [size, bits / 64] */
  codes: usize;
}
