import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import type { Source, SourceRow } from './source-row.ts';

/** Rows read into memory at a time. */
const PAGE = 1_000;

type ParquetFile = Awaited<ReturnType<typeof asyncBufferFromFile>>;

/** Columns as in CSV; `attributes` may be a struct, a map or JSON text. Rows are numbered from 1. */
export async function openParquet(path: string): Promise<Omit<Source, 'folder'>> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file).catch((error: unknown) => {
    throw new LookalikeError(
      'invalidInput',
      `Expected a Parquet file at ${path}, could not read it: ${errorMessage(error)}`,
    );
  });
  const total = Number(metadata.num_rows);
  if (total === 0) throw new LookalikeError('invalidInput', `Expected rows in ${path}, found none.`);
  return { rows: rowsOf(path, file, metadata, total), total };
}

async function* rowsOf(
  path: string,
  file: ParquetFile,
  metadata: Awaited<ReturnType<typeof parquetMetadataAsync>>,
  total: number,
): AsyncGenerator<SourceRow> {
  for (let rowStart = 0; rowStart < total; rowStart += PAGE) {
    const rowEnd = Math.min(rowStart + PAGE, total);
    let page: Record<string, unknown>[];
    try {
      page = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd });
    } catch (error) {
      const message = `Expected rows ${rowStart + 1} to ${rowEnd} of ${path}, could not read them: ${errorMessage(error)}`;
      throw new LookalikeError('invalidInput', message, {}, { cause: error });
    }
    for (const [index, value] of page.entries()) yield { row: rowStart + index + 1, value: plain(value) };
  }
}

/** Parquet's own types as JSON has them; null is an absent value. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, child]) => child !== null && child !== undefined);
  return Object.fromEntries(entries.map(([key, child]) => [key, plain(child)]));
}
