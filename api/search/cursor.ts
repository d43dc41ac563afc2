import { createHash } from 'node:crypto';
import { z } from 'zod';
import { LookalikeError } from '../../contracts/errors.ts';
import { ValidationError } from '../validation.ts';
import { MAX_RERANK_DEPTH } from './rerank-page.ts';
import type { SearchInput } from './search-input.ts';

/** Where a page ended. */
export interface Cursor {
  generation: number;
  /** The last hit shown. Pages follow the order of score, then id, so that what comes and goes meanwhile shifts nothing. */
  score: number;
  id: string;
  /** How deep the first round of the first page looked: later pages look as deep again first, and so see what it saw. */
  depth: number;
  /** Candidates that are re-ranked, where a search does that; then `score` means nothing, and the page goes on after `id`. */
  window?: number;
}

const Fields = z.tuple([
  z.literal(1),
  z.string(),
  z.int().min(1),
  z.number(),
  z.string(),
  z.int().min(1).max(10_000),
  z.int().min(1).max(MAX_RERANK_DEPTH).nullable(),
]);

/** As opaque text. It holds for the search it came from only. */
export function writeCursor({ generation, score, id, depth, window }: Cursor, search: string): string {
  return Buffer.from(JSON.stringify([1, search, generation, score, id, depth, window ?? null])).toString('base64url');
}

/** @throws ValidationError when it is no cursor, or one of another search */
export function readCursor(text: string, search: string): Cursor {
  const parsed = Fields.safeParse(parseJson(Buffer.from(text, 'base64url').toString('utf8')));
  if (!parsed.success) throw wrong('what `nextCursor` of an answer said', `"${text.slice(0, 40)}"`);
  const [, from, generation, score, id, depth, window] = parsed.data;
  if (from !== search) throw wrong('of this very search (only `k` may differ)', 'the one of another');
  return { generation, score, id, depth, ...(window !== null && { window }) };
}

/** What pages of one search need not have in common. */
const MAY_DIFFER = new Set(['k', 'cursor', 'facets', 'facetSize', 'allowPartial', 'timeoutMs', 'explain']);

/** What a search looks for, in short: equal for the pages of one search, and for no other. */
export function fingerprint(catalogue: string, input: SearchInput): string {
  const { query, ...fields } = input;
  const asked = Object.entries(fields).filter(([name]) => !MAY_DIFFER.has(name));
  const hash = createHash('sha256').update(JSON.stringify([catalogue, asked, query.kind]));
  switch (query.kind) {
    case 'image':
      hash.update(query.bytes).update(JSON.stringify(query.crop ?? null));
      break;
    case 'vector':
      hash.update(query.vector);
      break;
    case 'imageUrl':
      hash.update(query.url).update(JSON.stringify(query.crop ?? null));
      break;
    case 'item':
      hash.update(query.id);
      break;
    case 'examples':
  }
  return hash.digest('base64url').slice(0, 16);
}

/** Scores of two generations do not compare, and the pages of the former are gone. @throws LookalikeError `conflict` */
export function requireGeneration({ generation }: Cursor, serving: number): void {
  if (generation === serving) return;
  throw new LookalikeError(
    'conflict',
    `Expected generation ${generation} to serve, whose pages the cursor counts, but ${serving} does now. Search again without \`cursor\`.`,
    { cursor: generation, serving },
  );
}

function wrong(expected: string, got: string): ValidationError {
  return new ValidationError([{ field: 'cursor', expected, got }]);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
