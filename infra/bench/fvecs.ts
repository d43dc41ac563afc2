import { LookalikeError } from '../../contracts/errors.ts';
import { readLarge } from '../shards/files.ts';
import type { VectorSet } from './vector-set.ts';

/**
 * The format of the TEXMEX corpora: each row is its length (int32), then so many float32, all little-endian.
 * @throws LookalikeError `invalidInput` saying what was expected of the file and what came
 */
export async function readFvecs(path: string): Promise<VectorSet> {
  const bytes = await readLarge(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dim = bytes.length < 4 ? 0 : view.getInt32(0, true);
  if (dim < 1 || dim > 1_000_000) {
    throw bad(path, 'a row length from 1 to 1000000 in its first four bytes', bytes.length < 4 ? 'no such bytes' : dim);
  }
  const rowBytes = 4 + dim * 4;
  if (bytes.length % rowBytes !== 0) {
    throw bad(path, `whole rows of ${rowBytes} bytes (${dim} numbers each)`, `${bytes.length} bytes`);
  }
  const size = bytes.length / rowBytes;
  const data = new Float32Array(size * dim);
  for (let row = 0; row < size; row++) {
    const length = view.getInt32(row * rowBytes, true);
    if (length !== dim) throw bad(path, `rows of ${dim} numbers like the first`, `${length} in row ${row}`);
    const start = bytes.byteOffset + row * rowBytes + 4;
    data.set(new Float32Array(bytes.buffer, start, dim), row * dim);
  }
  return { data, size, dim };
}

function bad(path: string, expected: string, got: string | number): LookalikeError {
  return new LookalikeError('invalidInput', `Expected ${path} to hold ${expected}, got ${got}.`);
}
