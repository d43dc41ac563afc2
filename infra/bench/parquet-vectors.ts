import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import type { VectorSet } from './vector-set.ts';

/** Rows read into memory at a time: lists arrive as arrays of numbers, several times the size of the floats. */
const PAGE = 5_000;

/**
 * A column of lists of numbers; `column` names it where there are several.
 * @throws LookalikeError `invalidInput` saying what was expected of the file and what came
 */
export async function readParquetVectors(path: string, column?: string): Promise<VectorSet> {
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const size = Number(metadata.num_rows);
    if (size === 0) throw bad(path, 'rows', 'none');
    const read = (rowStart: number, rowEnd: number, columns?: string[]): Promise<Record<string, unknown>[]> =>
      parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd, columns });
    const [first] = await read(0, 1);
    const name = chosenColumn(path, first ?? {}, column);
    const dim = (first?.[name] as ArrayLike<number>).length;
    const data = new Float32Array(size * dim);
    for (let start = 0; start < size; start += PAGE) {
      const page = await read(start, Math.min(start + PAGE, size), [name]);
      for (const [i, row] of page.entries()) {
        const vector = row[name];
        if (!isVector(vector) || vector.length !== dim) {
          throw bad(path, `${dim} numbers in \`${name}\` of every row`, `${said(vector)} in row ${start + i}`);
        }
        data.set(vector, (start + i) * dim);
      }
    }
    return { data, size, dim };
  } catch (error) {
    if (error instanceof LookalikeError) throw error;
    throw new LookalikeError(
      'invalidInput',
      `Expected a Parquet file at ${path}, could not read it: ${errorMessage(error)}`,
      {},
      { cause: error },
    );
  }
}

function chosenColumn(path: string, row: Record<string, unknown>, wanted: string | undefined): string {
  const lists = Object.keys(row).filter((name) => isVector(row[name]));
  if (wanted !== undefined) {
    if (lists.includes(wanted)) return wanted;
    const others = lists.length === 0 ? 'no column does' : `these do: ${lists.join(', ')}`;
    throw bad(path, `lists of numbers in the column \`${wanted}\``, `${said(row[wanted])} (${others})`);
  }
  const [only] = lists;
  if (lists.length === 1 && only !== undefined) return only;
  const got =
    lists.length === 0 ? `only ${Object.keys(row).join(', ')}` : `${lists.join(', ')}; name one with --column`;
  throw bad(path, 'one column of lists of numbers', got);
}

type Numbers = number[] | Float32Array | Float64Array;

function isVector(value: unknown): value is Numbers {
  if (value instanceof Float32Array || value instanceof Float64Array) return value.length > 0;
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'number');
}

function said(value: unknown): string {
  if (isVector(value)) return `${value.length} numbers`;
  if (Array.isArray(value)) return 'a list of something else';
  return value === undefined || value === null ? 'nothing' : typeof value;
}

function bad(path: string, expected: string, got: string): LookalikeError {
  return new LookalikeError('invalidInput', `Expected ${path} to hold ${expected}, got ${got}.`);
}
