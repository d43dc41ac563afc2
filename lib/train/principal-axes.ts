import type { Tensor2D } from '@tensorflow/tfjs';
import type { Tf } from '../nn/tf.ts';
import { normals, randomOf } from './random.ts';

/** Rows that the axes are found from; more would move them less than another draw of the catalogue does. */
const MAX_ROWS = 20_000;
/** Block power steps, after which the widest axes have settled; the narrowest ones share a space in which they may be turned. */
const STEPS = 16;
/** Sweeps of Jacobi rotations: the last ones find nothing left to turn. */
const SWEEPS = 12;

/** Shapes: N rows, F columns, K axes. */
export interface PrincipalAxes {
  /** [K, F] row-major: unit rows at right angles, widest first; zeros beyond the rank. */
  axes: Float64Array;
  /** [K]: variance of the rows along each. */
  variances: Float64Array;
}

/**
 * The `count` directions of greatest variance of centred `rows` [N, F], by block power iteration with a Rayleigh-Ritz step at the end
 * (Golub & Van Loan, Matrix Computations, 4th ed., sec. 8.2.4). Of many rows evenly spaced ones count. A pure function of its input on
 * one backend.
 */
export function principalAxes(tf: Tf, rows: Float32Array, dim: number, count: number): PrincipalAxes {
  const covariance = covarianceOf(tf, rows, dim); // [F, F]
  const basis = Float64Array.from(normals(count * dim, randomOf('principal axes')));
  const covarianceTensor = tf.tensor2d(covariance, [dim, dim]);
  const times = (): Float32Array =>
    tf.tidy(() =>
      tf.matMul(tf.tensor2d(Float32Array.from(basis), [count, dim]), covarianceTensor).dataSync<'float32'>(),
    );
  try {
    orthonormalise(basis, count, dim);
    for (let step = 0; step < STEPS; step++) {
      basis.set(times());
      orthonormalise(basis, count, dim);
    }
    const seen = times(); // [K, F]
    const small = new Float64Array(count * count);
    for (let i = 0; i < count; i++) for (let j = 0; j < count; j++) small[i * count + j] = dot(basis, i, seen, j, dim);
    return turned(basis, symmetricEigen(small, count), count, dim);
  } finally {
    covarianceTensor.dispose();
  }
}

function covarianceOf(tf: Tf, rows: Float32Array, dim: number): Float32Array {
  const numRows = rows.length / dim;
  const used = Math.min(numRows, MAX_ROWS);
  const picked = new Float32Array(used * dim);
  for (let i = 0; i < used; i++) {
    const row = Math.floor((i * numRows) / used);
    picked.set(rows.subarray(row * dim, (row + 1) * dim), i * dim);
  }
  return tf.tidy(() => {
    const x: Tensor2D = tf.tensor2d(picked, [used, dim]);
    return tf.div(tf.matMul(x, x, true), used).dataSync<'float32'>();
  });
}

/** Gram-Schmidt, twice for what rounding leaves of the first pass; rows that depend on those before become 0. */
function orthonormalise(basis: Float64Array, count: number, dim: number): void {
  for (let i = 0; i < count; i++) {
    const before = Math.sqrt(dot(basis, i, basis, i, dim));
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const product = dot(basis, i, basis, j, dim);
        for (let c = 0; c < dim; c++) basis[i * dim + c]! -= product * basis[j * dim + c]!;
      }
    }
    const length = Math.sqrt(dot(basis, i, basis, i, dim));
    const scale = length > 1e-6 * before ? 1 / length : 0;
    for (let c = 0; c < dim; c++) basis[i * dim + c]! *= scale;
  }
}

/** The basis turned onto the eigenvectors of what was seen through it, widest first. */
function turned(
  basis: Float64Array,
  { values, vectors }: { values: Float64Array; vectors: Float64Array },
  count: number,
  dim: number,
): PrincipalAxes {
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
  const axes = new Float64Array(count * dim);
  order.forEach((from, k) => {
    for (let i = 0; i < count; i++) {
      const weight = vectors[i * count + from]!;
      for (let c = 0; c < dim; c++) axes[k * dim + c]! += weight * basis[i * dim + c]!;
    }
  });
  return { axes, variances: Float64Array.from(order, (at) => Math.max(0, values[at]!)) };
}

/** Cyclic Jacobi: `matrix` [n, n] symmetric, spoilt; column k of `vectors` belongs to value k. */
function symmetricEigen(matrix: Float64Array, n: number): { values: Float64Array; vectors: Float64Array } {
  const vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let numTurns = 0;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const off = matrix[p * n + q]!;
        const [a, b] = [matrix[p * n + p]!, matrix[q * n + q]!];
        if (Math.abs(off) <= 1e-12 * Math.sqrt(Math.abs(a * b)) || off === 0) continue;
        numTurns++;
        const theta = (b - a) / (2 * off);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        rotate(matrix, vectors, n, p, q, c, t * c);
      }
    }
    if (numTurns === 0) break;
  }
  return { values: Float64Array.from({ length: n }, (_, i) => matrix[i * n + i]!), vectors };
}

function rotate(m: Float64Array, v: Float64Array, n: number, p: number, q: number, c: number, s: number): void {
  for (let k = 0; k < n; k++) {
    const [x, y] = [m[k * n + p]!, m[k * n + q]!];
    m[k * n + p] = c * x - s * y;
    m[k * n + q] = s * x + c * y;
  }
  for (let k = 0; k < n; k++) {
    const [x, y] = [m[p * n + k]!, m[q * n + k]!];
    m[p * n + k] = c * x - s * y;
    m[q * n + k] = s * x + c * y;
    const [g, h] = [v[k * n + p]!, v[k * n + q]!];
    v[k * n + p] = c * g - s * h;
    v[k * n + q] = s * g + c * h;
  }
}

function dot(a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number, dim: number): number {
  let sum = 0;
  for (let c = 0; c < dim; c++) sum += a[i * dim + c]! * b[j * dim + c]!;
  return sum;
}
