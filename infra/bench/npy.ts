import { LookalikeError } from '../../contracts/errors.ts';
import { readLarge } from '../shards/files.ts';
import { halfToFloat } from './half.ts';
import type { VectorSet } from './vector-set.ts';

const MAGIC = '\x93NUMPY';

/**
 * A NumPy array of two dimensions (NEP 1, versions 1 to 3): float32 or float16, little-endian, C order.
 * @throws LookalikeError `invalidInput` saying what was expected of the file and what came
 */
export async function readNpy(path: string): Promise<VectorSet> {
  const bytes = await readLarge(path);
  const { header, start } = headerOf(bytes, path);
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  const isFortran = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const shape = /'shape'\s*:\s*\(([^)]*)\)/.exec(header)?.[1];
  if (descr === undefined || isFortran === undefined || shape === undefined) {
    throw bad(path, 'a header with descr, fortran_order and shape', header.trim() === '' ? 'none' : header.trim());
  }
  if (descr !== '<f4' && descr !== '<f2') {
    throw bad(path, "'<f4' or '<f2' numbers", `'${descr}'`, "Save array.astype('<f4').");
  }
  if (isFortran === 'True') {
    throw bad(path, 'C order (row after row)', 'Fortran order', 'Save numpy.ascontiguousarray(array).');
  }
  const lengths = shape
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
    .map(Number);
  const [size, dim] = lengths;
  if (lengths.length !== 2 || size === undefined || dim === undefined || dim < 1) {
    throw bad(path, 'two dimensions, vectors x numbers', `shape (${shape})`);
  }
  const width = descr === '<f4' ? 4 : 2;
  if (bytes.length - start !== size * dim * width) {
    throw bad(path, `${size * dim * width} bytes after the header for shape (${shape})`, `${bytes.length - start}`);
  }
  const body = aligned(bytes.subarray(start));
  const data =
    width === 4
      ? new Float32Array(body.buffer, body.byteOffset, size * dim)
      : Float32Array.from(new Uint16Array(body.buffer, body.byteOffset, size * dim), halfToFloat);
  return { data, size, dim };
}

function headerOf(bytes: Uint8Array, path: string): { header: string; start: number } {
  const text = (from: number, to: number): string => Buffer.from(bytes.subarray(from, to)).toString('latin1');
  if (text(0, 6) !== MAGIC) throw bad(path, 'a NumPy file, which begins with \\x93NUMPY', JSON.stringify(text(0, 6)));
  const version = bytes[6] ?? 0;
  if (version < 1 || version > 3) throw bad(path, 'format version 1, 2 or 3', `${version}`);
  const lengthBytes = version === 1 ? 2 : 4;
  const at = 8 + lengthBytes;
  if (bytes.length < at) throw bad(path, 'a header', 'a file that ends before it');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (bytes.length < at + length) throw bad(path, `a header of ${length} bytes`, 'a file that ends before its end');
  return { header: text(at, at + length), start: at + length };
}

/** Typed arrays begin at multiples of their width; writers pad the header to 16 or 64, but are not bound to. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
}

function bad(path: string, expected: string, got: string, advice = ''): LookalikeError {
  return new LookalikeError('invalidInput', `Expected ${path} to hold ${expected}, got ${got}. ${advice}`.trim());
}
