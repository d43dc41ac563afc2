import type { Kernels } from '../kernels/kernels.ts';

/** f32 [rows, cols], row-major, where the kernels see it. */
export interface Matrix {
  readonly address: number;
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array;
}

/** A matrix of zeros, or of `values`. */
export function placeMatrix(kernels: Kernels, rows: number, cols: number, values?: ArrayLike<number>): Matrix {
  const address = kernels.allocate(rows * cols * 4);
  const data = kernels.f32(address, rows * cols);
  if (values === undefined) data.fill(0);
  else data.set(values);
  return { address, rows, cols, data };
}

/** out = a b. */
export function multiply(kernels: Kernels, a: Matrix, b: Matrix, out: Matrix): Matrix {
  out.data.fill(0);
  kernels.run.matrixAdd(a.address, a.cols, 1, a.rows, a.cols, b.address, b.cols, out.address);
  return out;
}

/** out += transpose(a) b. */
export function addTransposed(kernels: Kernels, a: Matrix, b: Matrix, out: Matrix): Matrix {
  kernels.run.matrixAdd(a.address, 1, a.cols, a.cols, a.rows, b.address, b.cols, out.address);
  return out;
}

export function transpose(a: Matrix, out: Matrix): Matrix {
  for (let i = 0; i < a.rows; i++) for (let j = 0; j < a.cols; j++) out.data[j * a.rows + i] = a.data[i * a.cols + j]!;
  return out;
}

/** Gram-Schmidt: makes the rows orthonormal, in place; rows that depend on those before become 0. */
export function orthonormaliseRows({ data, rows, cols }: Matrix): void {
  for (let i = 0; i < rows; i++) {
    const row = data.subarray(i * cols, (i + 1) * cols);
    const before = norm(row);
    // Twice is enough: the second pass takes off what rounding left of the first.
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const other = data.subarray(j * cols, (j + 1) * cols);
        let product = 0;
        for (let c = 0; c < cols; c++) product += row[c]! * other[c]!;
        if (product !== 0) for (let c = 0; c < cols; c++) row[c]! -= product * other[c]!;
      }
    }
    const length = norm(row);
    const scale = length > 1e-6 * before ? 1 / length : 0;
    for (let c = 0; c < cols; c++) row[c]! *= scale;
  }
}

function norm(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
