import { z } from 'zod';
import type { ImportRow } from '../../contracts/catalogue.ts';
import type { JsonObject } from '../../contracts/json.ts';

/** A validated row; fields of other names than the contract's stand among the attributes. */
export interface ParsedRow extends ImportRow {
  attributes: JsonObject;
}

const text = (maxLength: number) =>
  z
    .string()
    .min(1)
    .max(maxLength)
    .refine((value) => !value.includes('\0') && value.isWellFormed(), 'Expected Unicode text without NUL characters');
/** Spreadsheets and Parquet hold ids and labels as numbers. */
const name = (maxLength: number) => z.union([z.number().transform(String), text(maxLength)]);

const MAX_ATTRIBUTES = 64 * 1024;

const Row = z
  .object({
    id: name(512),
    image: text(8192),
    category: name(256).nullish(),
    label: name(256).nullish(),
    title: text(4096).nullish(),
    attributes: z.preprocess(parseJsonText, z.record(z.string(), z.json()).nullish()),
  })
  .catchall(z.json());

/** Reads one row, or says in one sentence what is wrong with it. */
export function parseRow(value: unknown): ParsedRow | { reason: string } {
  const parsed = Row.safeParse(value);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the row'}: ${issue.message}`);
    return {
      reason: `Expected a row with id, image and optionally category, label, title, attributes: ${issues.join('; ')}.`,
    };
  }
  const { id, image, category, label, title, attributes: own, ...others } = parsed.data;
  const attributes = { ...others, ...own };
  const length = JSON.stringify(attributes).length;
  if (length > MAX_ATTRIBUTES) {
    return { reason: `Expected attributes of at most ${MAX_ATTRIBUTES} characters as JSON, got ${length}.` };
  }
  return {
    id,
    image,
    category: category ?? undefined,
    label: label ?? undefined,
    title: title ?? undefined,
    attributes,
  };
}

/** The id of a row that is otherwise unusable, for the report. */
export function idOf(value: unknown): string | null {
  const id: unknown = typeof value === 'object' && value !== null && 'id' in value ? value.id : undefined;
  return typeof id === 'string' || typeof id === 'number' ? String(id) : null;
}

/** CSV and Parquet often hold JSON as text. */
function parseJsonText(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    // Left as text: validation says that an object was expected.
    return value;
  }
}
