import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetWriteFile } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readVectors } from '../../../infra/bench/read-vectors.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lookalike-vectors-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, ...parts: Uint8Array[]): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

/** As NumPy writes it: magic, version, length of the header, the header padded with blanks and ended by a newline. */
function npyHeader(version: number, { descr = '<f4', order = 'False', shape = '2, 3', pad = 64 } = {}): Uint8Array {
  const prefix = version === 1 ? 10 : 12;
  const dict = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }`;
  const length = Math.ceil((prefix + dict.length + 1) / pad) * pad - prefix;
  const bytes = Buffer.alloc(prefix + length, ' ');
  bytes.write('\x93NUMPY', 'latin1');
  bytes[6] = version;
  bytes[7] = 0;
  if (version === 1) bytes.writeUInt16LE(length, 8);
  else bytes.writeUInt32LE(length, 8);
  bytes.write(`${dict}`, prefix, 'latin1');
  bytes[prefix + length - 1] = 0x0a;
  return bytes;
}

describe('a NumPy file', () => {
  it.each([1, 2, 3])('of version %i gives its rows', async (version) => {
    const path = put(`v${version}.npy`, npyHeader(version), floats(1, 2, 3, 4, 5, 6.5));
    expect(await readVectors(path)).toEqual({ data: Float32Array.of(1, 2, 3, 4, 5, 6.5), size: 2, dim: 3 });
  });

  it('of half floats gives the numbers that they encode', async () => {
    // 1, -2, 65504 (the largest), 2^-24 (the smallest), 0, 1/3 rounded to 11 bits.
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x3555);
    const path = put('half.npy', npyHeader(1, { descr: '<f2' }), new Uint8Array(halves.buffer));
    const { data } = await readVectors(path);
    expect([...data]).toEqual([1, -2, 65504, 2 ** -24, -0, 0.333251953125]);
  });

  it('whose header ends at an odd place is read all the same', async () => {
    const path = put('odd.npy', npyHeader(1, { pad: 1 }), floats(1, 2, 3, 4, 5, 6));
    expect([...(await readVectors(path)).data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  const body = floats(1, 2, 3, 4, 5, 6);
  it.each<[what: string, parts: Uint8Array[], message: RegExp]>([
    ['of doubles', [npyHeader(1, { descr: '<f8' }), body, body], /'<f4' or '<f2'.*'<f8'.*astype/],
    ['of big-endian numbers', [npyHeader(1, { descr: '>f4' }), body], /'>f4'/],
    ['in Fortran order', [npyHeader(1, { order: 'True' }), body], /C order.*Fortran order.*ascontiguousarray/],
    ['of one dimension', [npyHeader(1, { shape: '6,' }), body], /two dimensions.*shape \(6,\)/],
    ['that is cut short', [npyHeader(1), body.subarray(0, 20)], /24 bytes after the header.*got 20/],
    ['of a version to come', [npyHeader(9), body], /version 1, 2 or 3, got 9/],
    ['that ends in its header', [npyHeader(1).subarray(0, 30)], /header of \d+ bytes/],
    ['that is something else', [Buffer.from('PK\x03\x04 and more')], /begins with .*NUMPY, got "PK/],
  ])('%s is refused with what was expected and what came', async (_, parts, message) => {
    await expect(readVectors(put('bad.npy', ...parts))).rejects.toMatchObject({
      code: 'invalidInput',
      message: expect.stringMatching(message) as string,
    });
  });
});

describe('a file of fvecs', () => {
  const row = (...values: number[]): Uint8Array =>
    Buffer.concat([new Uint8Array(Int32Array.of(values.length).buffer), floats(...values)]);

  it('gives its rows', async () => {
    const path = put('good.fvecs', row(1, 2), row(3, 4), row(5, 6));
    expect(await readVectors(path)).toEqual({ data: Float32Array.of(1, 2, 3, 4, 5, 6), size: 3, dim: 2 });
  });

  it.each<[what: string, parts: Uint8Array[], message: RegExp]>([
    ['whose rows differ in length', [row(1, 2, 3), row(1, 2), new Uint8Array(4)], /rows of 3 numbers.*got 2 in row 1/],
    ['that is cut short', [row(1, 2), row(3, 4).subarray(0, 8)], /whole rows of 12 bytes.*got 20/],
    ['that is text', [Buffer.from('1.0 2.0 3.0')], /row length from 1 to/],
    ['that is empty', [], /row length/],
  ])('%s is refused with what was expected and what came', async (_, parts, message) => {
    await expect(readVectors(put('bad.fvecs', ...parts))).rejects.toThrow(message);
  });
});

describe('a Parquet file', () => {
  /** `columns`: lists of float32 by name, beside a column of texts. */
  function write(name: string, columns: Record<string, number[][]>): string {
    const filename = join(folder, name);
    const lists = Object.keys(columns).flatMap((column) => [
      { name: column, repetition_type: 'REQUIRED', num_children: 1, converted_type: 'LIST' } as const,
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 } as const,
      { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' } as const,
    ]);
    const id = { name: 'id', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' } as const;
    const rows = Math.max(...Object.values(columns).map((lists) => lists.length), 1);
    parquetWriteFile({
      filename,
      schema: [{ name: 'root', num_children: 1 + Object.keys(columns).length }, id, ...lists],
      columnData: [
        { name: 'id', data: Array.from({ length: rows }, (_, i) => `b-${i}`) },
        ...Object.entries(columns).map(([column, data]) => ({ name: column, data })),
      ],
    });
    return filename;
  }

  it('gives the one column of lists', async () => {
    const rows = Array.from({ length: 300 }, (_, i) => [i, i / 2, -i]);
    const { data, size, dim } = await readVectors(write('one.parquet', { vector: rows }));
    expect([size, dim]).toEqual([300, 3]);
    expect([...data]).toEqual(rows.flat());
  });

  it('with several columns of lists wants one named', async () => {
    const path = write('two.parquet', { text: [[1, 2]], picture: [[3, 4, 5]] });
    await expect(readVectors(path)).rejects.toThrow(/one column.*text, picture.*--column/);
    expect([...(await readVectors(path, 'picture')).data]).toEqual([3, 4, 5]);
    await expect(readVectors(path, 'id')).rejects.toThrow(/`id`, got string \(these do: text, picture\)/);
  });

  it('with lists of different lengths, without lists or of something else is refused', async () => {
    const ragged = write('ragged.parquet', {
      vector: [
        [1, 2],
        [1, 2, 3],
      ],
    });
    await expect(readVectors(ragged)).rejects.toThrow(/2 numbers in `vector` of every row, got 3 numbers in row 1/);
    await expect(readVectors(write('none.parquet', {}))).rejects.toThrow(/got only id/);
    await expect(readVectors(put('text.parquet', Buffer.from('id,vector')))).rejects.toThrow(/Expected a Parquet file/);
  });
});

describe('a file of vectors', () => {
  it('with a number that is not finite is refused with its place', async () => {
    const path = put('nan.npy', npyHeader(1), floats(1, 2, 3, 4, NaN, 6));
    await expect(readVectors(path)).rejects.toMatchObject({
      code: 'nonFinite',
      message: expect.stringContaining('got NaN at position 1 of row 1') as string,
    });
  });

  it('that is missing, empty or of an unknown kind is refused', async () => {
    await expect(readVectors(join(folder, 'absent.npy'))).rejects.toMatchObject({ code: 'notFound' });
    await expect(readVectors(put('none.npy', npyHeader(1, { shape: '0, 3' })))).rejects.toThrow(/found none/);
    await expect(readVectors('vectors.csv')).rejects.toThrow(/\.npy, \.fvecs or \.parquet, got vectors\.csv/);
  });
});
