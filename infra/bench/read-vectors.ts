import { extname } from 'node:path';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import { readFvecs } from './fvecs.ts';
import { readNpy } from './npy.ts';
import { readParquetVectors } from './parquet-vectors.ts';
import { rowOf } from './vector-set.ts';
import type { VectorSet } from './vector-set.ts';

/**
 * Vectors of a file, by its ending. `column`: where a Parquet file has several columns of lists.
 * @throws LookalikeError `notFound` | `invalidInput` | `nonFinite`
 */
export async function readVectors(path: string, column?: string): Promise<VectorSet> {
  const vectors = await readByEnding(path, column).catch((error: unknown) => {
    if (error instanceof LookalikeError) throw error;
    throw new LookalikeError('notFound', `Expected a readable file of vectors at ${path}: ${errorMessage(error)}.`);
  });
  if (vectors.size === 0) throw new LookalikeError('invalidInput', `Expected vectors in ${path}, found none.`);
  for (let row = 0; row < vectors.size; row++) {
    const position = rowOf(vectors, row).findIndex((value) => !Number.isFinite(value));
    if (position < 0) continue;
    const value = rowOf(vectors, row)[position];
    throw new LookalikeError(
      'nonFinite',
      `Expected finite numbers in ${path}, got ${value} at position ${position} of row ${row}.`,
    );
  }
  return vectors;
}

async function readByEnding(path: string, column: string | undefined): Promise<VectorSet> {
  switch (extname(path).toLowerCase()) {
    case '.npy':
      return await readNpy(path);
    case '.fvecs':
      return await readFvecs(path);
    case '.parquet':
      return await readParquetVectors(path, column);
    default:
      throw new LookalikeError('invalidInput', `Expected vectors as .npy, .fvecs or .parquet, got ${path}.`);
  }
}
