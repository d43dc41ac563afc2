import type { DeepHashSpec } from '../../../contracts/ann.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { Vectors } from '../vectors.ts';
import { fineTune, MIN_ROWS } from './fine-tune.ts';
import { multiply, placeMatrix } from './matrix.ts';
import type { Matrix } from './matrix.ts';
import { principalAxes } from './principal-axes.ts';
import { quantisingRotation } from './quantising-rotation.ts';
import { seededRandom } from './random.ts';
import type { SeededRandom } from './random.ts';
import { trainingSet } from './training-set.ts';
import type { CodeSpace } from './training-set.ts';

/** Directions of greatest variance in which a code is learnt; what lies beyond tells neighbours apart no better than chance. */
const MAX_AXES = 128;

/** The linear hash functions of a code: bit j of x is whether x . column j + bias j > 0. */
export interface LinearCode {
  /** f32 [dim + 1, bits]; the last row weighs the added coordinate of the inner product. */
  weights: Float32Array;
  /** f32 [bits]: for rows and, under the inner product, without the centre, for queries. */
  rowBias: Float32Array;
  queryBias: Float32Array;
}

/**
 * A code for the rows. `learned`: the widest axes, rotated towards the corners of a cube, then trained to keep neighbours
 * (`fineTune`); fewer than 256 rows are too few to learn from and get hyperplanes. `hyperplane`: random directions around the
 * rows' mean (Charikar 2002).
 * @throws LookalikeError `nonFinite` | `cancelled` from `pause`
 */
export async function linearCode(
  kernels: Kernels,
  vectors: Vectors,
  space: CodeSpace,
  { code, bits, epochs, seed }: DeepHashSpec,
  pause: (share: number) => Promise<void>,
): Promise<LinearCode> {
  const random = seededRandom(seed);
  if (code === 'hyperplane' || vectors.size < MIN_ROWS) {
    const directions = Float32Array.from({ length: space.dim * bits }, random.normal);
    return around(space, directions, new Float32Array(bits), vectors.dim);
  }
  const set = trainingSet(kernels, vectors, space, random);
  const numAxes = Math.min(space.dim, bits, MAX_AXES);
  const axes = await principalAxes(kernels, set, numAxes, random, () => pause(0));
  const rows = multiply(kernels, set, axes, placeMatrix(kernels, set.rows, numAxes));
  const weights = await initialWeights(kernels, rows, bits, random, () => pause(0));
  // Queries of the inner product have any length, so no bias could suit them.
  const hasBias = space.lift === undefined;
  const bias = await fineTune(kernels, rows, weights, { epochs, hasBias }, random, pause);
  const full = multiply(kernels, axes, weights, placeMatrix(kernels, space.dim, bits));
  return around(space, full.data, bias, vectors.dim);
}

/** Rotations for as many bits at a time as there are axes, each bit of unit variance. */
async function initialWeights(
  kernels: Kernels,
  rows: Matrix,
  bits: number,
  random: SeededRandom,
  pause: () => Promise<void>,
): Promise<Matrix> {
  const weights = placeMatrix(kernels, rows.cols, bits);
  for (let first = 0; first < bits; first += rows.cols) {
    const count = Math.min(rows.cols, bits - first);
    const rotation = await quantisingRotation(kernels, rows, count, random, pause);
    for (let i = 0; i < rows.cols; i++) {
      weights.data.set(rotation.data.subarray(i * count, (i + 1) * count), i * bits + first);
    }
  }
  const values = multiply(kernels, rows, weights, placeMatrix(kernels, rows.rows, bits)).data;
  const squares = new Float64Array(bits);
  for (let i = 0; i < values.length; i++) squares[i % bits]! += values[i]! ** 2 / rows.rows;
  for (let i = 0; i < weights.data.length; i++) weights.data[i]! /= Math.sqrt(squares[i % bits]!) || 1;
  return weights;
}

/** Directions through the centre of the space as functions of vectors as they are. */
function around(space: CodeSpace, directions: Float32Array, bias: Float32Array, dim: number): LinearCode {
  const bits = bias.length;
  const weights = new Float32Array((dim + 1) * bits);
  weights.set(directions);
  const sums = Float64Array.from(bias);
  for (let i = 0; i < dim * bits; i++) sums[i % bits]! -= space.centre[Math.floor(i / bits)]! * weights[i]!;
  const rowBias = Float32Array.from(sums);
  return { weights, rowBias, queryBias: space.lift === undefined ? rowBias : Float32Array.from(bias) };
}
