import type { ParsedRow } from '../import/row.ts';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import { MAX_IMAGE_BYTES } from '../../lib/images/decode.ts';
import { loadPicture } from '../import/load-picture.ts';
import { idOf, parseRow } from '../import/row.ts';
import { openSource } from '../import/source.ts';

export interface LabelledBytes {
  row: number;
  id: string;
  label: string;
  bytes: Buffer;
}

/** Why one row takes no part. */
export interface PictureProblem {
  source: string;
  row: number;
  id: string | null;
  reason: string;
}

export interface ReadOptions {
  match: string;
  imageHosts: readonly string[];
  signal?: AbortSignal;
  onProblem: (problem: PictureProblem) => void;
}

/** The rows of any importable source whose picture can be read and whose matched field is set, one by one. */
export async function* readLabelledPictures(source: string, options: ReadOptions): AsyncGenerator<LabelledBytes> {
  const { match, imageHosts, signal, onProblem } = options;
  const fieldOf = matchedField(match);
  const { rows, folder } = await openSource(source);
  for await (const entry of rows) {
    if (signal?.aborted) throw new LookalikeError('cancelled', 'The evaluation was cancelled.');
    const { row } = entry;
    const parsed = 'value' in entry ? parseRow(entry.value) : { reason: entry.unreadable };
    if ('reason' in parsed) {
      onProblem({ source, row, id: 'value' in entry ? idOf(entry.value) : null, reason: parsed.reason });
      continue;
    }
    const label = fieldOf(parsed);
    if (label === null) {
      onProblem({ source, row, id: parsed.id, reason: `Expected a ${match} to match by, got none.` });
      continue;
    }
    try {
      const bytes = await loadPicture(parsed.image, { folder, imageHosts, maxBytes: MAX_IMAGE_BYTES, signal });
      yield { row, id: parsed.id, label, bytes };
    } catch (error) {
      onProblem({ source, row, id: parsed.id, reason: errorMessage(error) });
    }
  }
}

function matchedField(match: string): (row: ParsedRow) => string | null {
  switch (match) {
    case 'label':
      return (row) => row.label ?? row.category ?? null;
    case 'category':
      return (row) => row.category ?? null;
    case 'title':
      return (row) => row.title ?? null;
    case 'id':
      return (row) => row.id;
  }
  const name = /^attributes\.(.+)$/.exec(match)?.[1];
  if (name === undefined) {
    throw new LookalikeError(
      'invalidInput',
      `Expected to match by label, category, title, id or attributes.NAME, got "${match}".`,
    );
  }
  return ({ attributes }) => {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
  };
}
