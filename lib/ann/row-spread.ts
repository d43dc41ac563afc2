import { inPieces } from './pause.ts';
import type { Vectors } from './vectors.ts';

/** The mean of the rows, f32 [dim]; zeros when there are none. @throws LookalikeError `cancelled` */
export async function meanOf({ data, dim, size }: Vectors, signal?: AbortSignal): Promise<Float32Array> {
  const sums = new Float64Array(dim);
  const add = (from: number, to: number): void => {
    for (let at = from * dim; at < to * dim; at += dim) for (let i = 0; i < dim; i++) sums[i]! += data[at + i]!;
  };
  await inPieces(size, dim, add, signal);
  return Float32Array.from(sums, (sum) => (size === 0 ? 0 : sum / size));
}

/** |row - centre|^2 of each row, f64 [size]. @throws LookalikeError `cancelled` */
export async function squaresAround(
  { data, dim, size }: Vectors,
  centre: Float32Array,
  signal?: AbortSignal,
): Promise<Float64Array> {
  const squares = new Float64Array(size);
  const measure = (from: number, to: number): void => {
    for (let row = from; row < to; row++) {
      let square = 0;
      for (let i = 0; i < dim; i++) square += (data[row * dim + i]! - centre[i]!) ** 2;
      squares[row] = square;
    }
  };
  await inPieces(size, dim, measure, signal);
  return squares;
}

/**
 * f32 [size] of sqrt(M^2 - |x|^2), M the greatest |x|: with it as one more coordinate all rows are equally long, so that the
 * nearest in L2 to (q, 0) has the highest inner product with q (Bachrach et al. 2014; Neyshabur & Srebro 2015).
 */
export function liftOf(squares: Float64Array): Float32Array {
  const greatest = squares.reduce((most, square) => Math.max(most, square), 0);
  return Float32Array.from(squares, (square) => Math.sqrt(greatest - square));
}
