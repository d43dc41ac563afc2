import type { Metric } from '../../../contracts/ann.ts';
import { meanOf, squaresAround } from '../row-spread.ts';
import type { Vectors } from '../vectors.ts';
import { corrupt } from './tables.ts';
import type { Sphere } from './tables.ts';

/**
 * The sphere onto which rows are lifted before they are hashed: x becomes (x - c, sqrt(R^2 - |x - c|^2)) with c the mean of the
 * rows, which would share few buckets if an offset were left in; a row beyond R gets 0. Near rows stay near, so the angle,
 * which hashes tell, follows L2; cosine is L2 of unit vectors. R is their root mean square there, so that the lift tells rows
 * in the middle apart and hardly biases the others.
 *
 * For the inner product R is the greatest, and a query becomes (q, 0): its angles to the rows follow q.(x - c), which is q.x
 * but for a constant (Neyshabur & Srebro 2015).
 * @throws LookalikeError `cancelled`
 */
export async function sphereOf(vectors: Vectors, metric: Metric, signal?: AbortSignal): Promise<Sphere> {
  const centre = await meanOf(vectors, signal);
  const squares = await squaresAround(vectors, centre, signal);
  const greatest = squares.reduce((most, square) => Math.max(most, square), 0);
  const mean = squares.reduce((sum, square) => sum + square, 0) / Math.max(1, vectors.size);
  return { centre, radiusSquared: Math.fround(metric === 'innerProduct' ? greatest : mean) };
}

/** @throws LookalikeError `corruptArtifact` */
export function storedSphere(bytes: Uint8Array, dim: number): Sphere {
  if (bytes.length !== (dim + 1) * 4) throw corrupt(`${dim + 1} numbers of \`sphere\``, bytes.length / 4);
  const values = new Float32Array(Uint8Array.from(bytes).buffer);
  for (const value of values) if (!Number.isFinite(value)) throw corrupt('finite numbers in `sphere`', value);
  return { centre: values.subarray(0, dim), radiusSquared: values[dim]! };
}
