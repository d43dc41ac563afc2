import { pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import { MAX_ROW_BYTES } from './source-row.ts';
import type { Source, SourceRow } from './source-row.ts';
import { bytesFrom, decodeUtf8, NOT_UTF8, textStart } from './utf8.ts';

/** Comma-separated with a header line naming at least `id` and `image`. Rows are numbered by the line they end on. */
export async function openCsv(path: string): Promise<Omit<Source, 'folder'>> {
  const start = await textStart(path);
  const records = readRecords(path, start);
  const first = await records.next();
  if (first.done || 'unreadable' in first.value) {
    throw new LookalikeError('invalidInput', `Expected a header line with "id" and "image" in ${path}, found none.`);
  }
  const header = first.value.fields.map((name) => name.trim());
  const missing = ['id', 'image'].filter((name) => !header.includes(name));
  if (missing.length > 0 || new Set(header).size !== header.length) {
    throw new LookalikeError(
      'invalidInput',
      `Expected the first line of ${path} to name each column once, among them "id" and "image"; got ${header.join(', ').slice(0, 200)}.`,
    );
  }
  return { rows: rowsOf(records, header), total: null };
}

type Reading = { row: number; fields: string[] } | { row: number; unreadable: string };

async function* rowsOf(records: AsyncIterable<Reading>, header: string[]): AsyncGenerator<SourceRow> {
  for await (const reading of records) {
    if ('unreadable' in reading) yield reading;
    else if (reading.fields.length !== header.length) {
      const { row, fields } = reading;
      yield { row, unreadable: `Expected ${header.length} columns as in the header, got ${fields.length}.` };
    } else yield { row: reading.row, value: valueOf(header, reading.fields) };
  }
}

/** An empty cell is an absent value. */
function valueOf(header: string[], fields: string[]): Record<string, unknown> {
  const cells = header.map((name, i): [string, unknown] => [name, fields[i]]);
  return Object.fromEntries(cells.filter(([, cell]) => cell !== ''));
}

/** Parsed byte by byte (as Latin-1) and decoded cell by cell, so that one bad byte spoils one row, not the file. */
async function* readRecords(path: string, start: number): AsyncGenerator<Reading> {
  const skipped: Reading[] = [];
  // The parser counts a CRLF inside quotes as two lines.
  let countedTwice = 0;
  const parser = parse({
    encoding: 'latin1',
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    max_record_size: MAX_ROW_BYTES,
    // The line number travels as the first cell.
    on_record: (cells: string[], { lines }) => {
      for (const cell of cells) countedTwice += cell.split('\r\n').length - 1;
      return [String(lines - countedTwice), ...cells];
    },
    on_skip: (error) => {
      const row = typeof error?.lines === 'number' ? error.lines - countedTwice : 0;
      const reason = errorMessage(error).replace(/ at line \d+/, '');
      skipped.push({ row, unreadable: `Expected a CSV record, got something else: ${reason}` });
      return undefined;
    },
  });
  // Errors of the file surface in the loop below.
  pipeline(bytesFrom(path, start), parser, () => undefined);
  try {
    for await (const [line, ...cells] of parser as AsyncIterable<string[]>) {
      const row = Number(line);
      const fields = cells.map((cell) => decodeUtf8(Buffer.from(cell, 'latin1')));
      const whole = fields.filter((cell) => cell !== undefined);
      yield whole.length < fields.length ? { row, unreadable: NOT_UTF8 } : { row, fields: whole };
      // The parser reads ahead: what it skipped may come later in the file, so the header goes first.
      yield* skipped.splice(0);
    }
  } catch (error) {
    skipped.push({ row: 0, unreadable: `Expected CSV to the end, stopped reading here: ${errorMessage(error)}` });
  }
  yield* skipped;
}
