import type { Vectors } from '../vectors.ts';

/**
 * Places f32 [size] of sqrt(M^2 - |x|^2), M the longest row's length: with it as one more coordinate all rows are equally
 * long, so that the nearest in L2 to (q, 0) has the highest inner product with q (Bachrach et al. 2014). Returns its address.
 */
export function placeLift({ kernels, data, dim, size }: Vectors): number {
  const squares = new Float64Array(size);
  for (let row = 0, at = 0; row < size; row++) {
    let sum = 0;
    for (const end = at + dim; at < end; at++) sum += data[at]! * data[at]!;
    squares[row] = sum;
  }
  const longest = squares.reduce((most, square) => Math.max(most, square), 0);
  return kernels.place(Float32Array.from(squares, (square) => Math.sqrt(longest - square)));
}
