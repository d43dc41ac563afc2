import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import { readLines } from './lines.ts';
import { MAX_ROW_BYTES } from './source-row.ts';
import type { Source, SourceRow } from './source-row.ts';
import { decodeUtf8, NOT_UTF8, textStart } from './utf8.ts';

/** One JSON object a line; blank lines are passed over. Rows are numbered by line. */
export async function openJsonl(path: string): Promise<Omit<Source, 'folder'>> {
  const start = await textStart(path);
  let total = 0;
  for await (const { bytes } of readLines(path, MAX_ROW_BYTES)) if (!isBlank(bytes)) total++;
  if (total === 0) throw new LookalikeError('invalidInput', `Expected rows in ${path}, found an empty file.`);
  return { rows: rowsOf(path, start), total };
}

async function* rowsOf(path: string, start: number): AsyncGenerator<SourceRow> {
  for await (const { number: row, bytes } of readLines(path, MAX_ROW_BYTES)) {
    if (isBlank(bytes)) continue;
    if (bytes === undefined) yield { row, unreadable: `Expected a line of at most ${MAX_ROW_BYTES} bytes, got more.` };
    else yield { row, ...parse(row === 1 ? bytes.subarray(start) : bytes) };
  }
}

function parse(bytes: Buffer): { value: unknown } | { unreadable: string } {
  const text = decodeUtf8(bytes);
  if (text === undefined) return { unreadable: NOT_UTF8 };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { unreadable: `Expected a JSON object, got something else: ${errorMessage(error)}` };
  }
}

function isBlank(bytes: Buffer | undefined): boolean {
  return bytes !== undefined && /^(?:\u00ef\u00bb\u00bf)?[ \t\r]*$/.test(bytes.toString('latin1'));
}
