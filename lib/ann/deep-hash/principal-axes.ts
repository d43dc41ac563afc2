import type { Kernels } from '../kernels/kernels.ts';
import { addTransposed, multiply, orthonormaliseRows, placeMatrix, transpose } from './matrix.ts';
import type { Matrix } from './matrix.ts';
import type { SeededRandom } from './random.ts';

/** Power steps: enough to find the space of the widest directions; which basis of it comes out does not matter here. */
const STEPS = 8;

/** f32 [set.cols, count]: orthonormal columns that span the directions of greatest variance, by subspace iteration. */
export async function principalAxes(
  kernels: Kernels,
  set: Matrix,
  count: number,
  random: SeededRandom,
  pause: () => Promise<void>,
): Promise<Matrix> {
  const axes = placeMatrix(kernels, set.cols, count, Float32Array.from({ length: set.cols * count }, random.normal));
  const rows = placeMatrix(kernels, count, set.cols);
  const seen = placeMatrix(kernels, set.rows, count);
  for (let step = 0; step <= STEPS; step++) {
    await pause();
    orthonormaliseRows(transpose(axes, rows));
    transpose(rows, axes);
    if (step === STEPS) break;
    multiply(kernels, set, axes, seen);
    axes.data.fill(0);
    addTransposed(kernels, set, seen, axes);
  }
  return axes;
}
