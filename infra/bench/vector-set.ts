/** Vectors, f32 [size, dim], row-major. */
export interface VectorSet {
  data: Float32Array;
  size: number;
  dim: number;
}

/** A view of row `row`. */
export function rowOf({ data, dim }: VectorSet, row: number): Float32Array {
  return data.subarray(row * dim, (row + 1) * dim);
}
