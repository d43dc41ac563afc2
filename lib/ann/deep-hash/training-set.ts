import type { Kernels } from '../kernels/kernels.ts';
import { liftOf, meanOf, squaresAround } from '../row-spread.ts';
import type { Vectors } from '../vectors.ts';
import { placeMatrix } from './matrix.ts';
import type { Matrix } from './matrix.ts';
import type { SeededRandom } from './random.ts';

/** Rows that a code is learnt from: more cost time and change little. */
const MAX_ROWS = 4096;

/** Where codes see a row: x - centre, and under the inner product the coordinate that makes all rows equally long. */
export interface CodeSpace {
  readonly centre: Float32Array;
  /** f32 [size], or none. */
  readonly lift: Float32Array | undefined;
  /** dim, or dim + 1 with a lift. */
  readonly dim: number;
}

/**
 * L2 and cosine see rows from their mean. The inner product is brought to L2 of (x - c, sqrt(R^2 - |x - c|^2)) to (q, 0), R the
 * greatest |x - c| (Neyshabur & Srebro 2015): q.(x - c) is q.x but for a constant.
 * @throws LookalikeError `cancelled`
 */
export async function codeSpace(vectors: Vectors, isInnerProduct: boolean, signal?: AbortSignal): Promise<CodeSpace> {
  const centre = await meanOf(vectors, signal);
  if (!isInnerProduct) return { centre, lift: undefined, dim: vectors.dim };
  return { centre, lift: liftOf(await squaresAround(vectors, centre, signal)), dim: vectors.dim + 1 };
}

/** A random sample of the rows, as codes see them: f32 [min(size, 4096), space.dim]. */
export function trainingSet(kernels: Kernels, vectors: Vectors, space: CodeSpace, random: SeededRandom): Matrix {
  const { data, dim, size } = vectors;
  const count = Math.min(size, MAX_ROWS);
  const picked = Int32Array.from({ length: size }, (_, i) => i);
  const set = placeMatrix(kernels, count, space.dim);
  for (let i = 0; i < count; i++) {
    const j = i + random.below(size - i);
    const row = picked[j]!;
    picked[j] = picked[i]!;
    const out = set.data.subarray(i * space.dim, (i + 1) * space.dim);
    for (let c = 0; c < dim; c++) out[c] = data[row * dim + c]! - space.centre[c]!;
    if (space.lift !== undefined) out[dim] = space.lift[row]!;
  }
  return set;
}
