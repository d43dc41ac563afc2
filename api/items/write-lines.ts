import { isLookalikeError } from '../../contracts/errors.ts';
import { idOf } from '../../infra/import/row.ts';
import { ValidationError, validate } from '../validation.ts';
import { DeleteLine, PutLine } from './items.dto.ts';
import type { PutItemDto } from './items.dto.ts';

/** One thing that a caller wants written, or why it cannot be. Lines are numbered from 1. */
export type WriteLine = { line: number } & (
  { put: PutItemDto & { id: string; image?: Buffer } } | { delete: string } | { id: string | null; reason: string }
);

/** More in one request would hold up other writers of the catalogue. */
export const MAX_LINES = 10_000;

/** The lines of an NDJSON body; blank ones are passed over. A bad line is told of and never stops the others. @throws ValidationError */
export function parseLines(body: Buffer): WriteLine[] {
  const lines: WriteLine[] = [];
  for (const [i, text] of body.toString('utf8').split('\n').entries()) {
    if (text.trim() === '') continue;
    if (lines.length === MAX_LINES) throw wrongBody(`at most ${MAX_LINES} lines`, 'more');
    lines.push(parseLine(text, i + 1));
  }
  if (lines.length === 0) throw wrongBody('one JSON object a line', 'none');
  return lines;
}

function parseLine(text: string, line: number): WriteLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { line, id: null, reason: 'Expected a JSON object in a line of its own, got something else.' };
  }
  return readLine(value, line);
}

/** One operation: an item to put, or `{"delete": id}`. */
export function readLine(value: unknown, line: number): WriteLine {
  try {
    if (typeof value === 'object' && value !== null && 'delete' in value)
      return { line, ...validate(DeleteLine, value) };
    return { line, put: validate(PutLine, value) };
  } catch (error) {
    if (!isLookalikeError(error)) throw error;
    return { line, id: idOf(value), reason: error.message };
  }
}

function wrongBody(expected: string, got: string): ValidationError {
  return new ValidationError([{ field: '(body)', expected, got }]);
}
