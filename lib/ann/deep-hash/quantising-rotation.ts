import type { Kernels } from '../kernels/kernels.ts';
import { addTransposed, multiply, orthonormaliseRows, placeMatrix, transpose } from './matrix.ts';
import type { Matrix } from './matrix.ts';
import type { SeededRandom } from './random.ts';

const ITERATIONS = 20;
/** Newton-Schulz steps: each multiplies small singular values by 1.5, so these reach 1 from a thousandth. */
const POLAR_STEPS = 22;

/**
 * Orthonormal columns [rows.cols, bits <= rows.cols] under which the rows lie near the corners of a cube (iterative
 * quantisation; Gong & Lazebnik 2011, section 3.2).
 */
export async function quantisingRotation(
  kernels: Kernels,
  rows: Matrix,
  bits: number,
  random: SeededRandom,
  pause: () => Promise<void>,
): Promise<Matrix> {
  const { cols } = rows;
  const start = placeMatrix(kernels, bits, cols, Float32Array.from({ length: bits * cols }, random.normal));
  orthonormaliseRows(start);
  const rotation = transpose(start, placeMatrix(kernels, cols, bits));
  const turned = placeMatrix(kernels, rows.rows, bits);
  const gram = placeMatrix(kernels, bits, bits);
  const next = placeMatrix(kernels, cols, bits);
  for (let i = 0; i < ITERATIONS; i++) {
    await pause();
    multiply(kernels, rows, rotation, turned);
    for (let j = 0; j < turned.data.length; j++) turned.data[j] = turned.data[j]! > 0 ? 1 : -1;
    rotation.data.fill(0);
    addTransposed(kernels, rows, turned, rotation);
    polarFactor(kernels, rotation, gram, next);
  }
  return rotation;
}

/** Replaces m by the matrix with orthonormal columns that is nearest to it, without a decomposition. */
function polarFactor(kernels: Kernels, m: Matrix, gram: Matrix, next: Matrix): void {
  const length = Math.sqrt(m.data.reduce((sum, value) => sum + value * value, 0));
  if (length === 0) return;
  for (let i = 0; i < m.data.length; i++) m.data[i]! /= length;
  for (let step = 0; step < POLAR_STEPS; step++) {
    gram.data.fill(0);
    addTransposed(kernels, m, m, gram);
    multiply(kernels, m, gram, next);
    for (let i = 0; i < m.data.length; i++) m.data[i] = 1.5 * m.data[i]! - 0.5 * next.data[i]!;
  }
}
