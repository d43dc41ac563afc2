import { Injectable } from '@nestjs/common';
import type { ArgumentMetadata, PipeTransform } from '@nestjs/common';
import { z } from 'zod';
import { LookalikeError } from '../contracts/errors.ts';
import { checkCatalogue } from '../infra/registry/text.ts';

/** One wrong field: where it is, what should stand there and what does. */
export interface FieldProblem {
  /** Path from the root of the body or query: `k`, `vector[3]`; `(body)` for the whole. */
  field: string;
  expected: string;
  got: string;
}

/** A request that does not have the promised shape. */
export class ValidationError extends LookalikeError {
  readonly problems: FieldProblem[];

  constructor(problems: FieldProblem[]) {
    const [first] = problems;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    const detail = first
      ? `Expected \`${first.field}\` to be ${first.expected}, got ${first.got}${more}.`
      : 'The request is not valid.';
    super('invalidInput', detail);
    this.problems = problems;
  }
}

/** Parses untrusted input. @throws ValidationError naming each wrong field */
export function validate<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ValidationError(parsed.error.issues.flatMap((issue) => describe(issue, value)));
}

/** Validates every argument typed with a nestjs-zod DTO, and every catalogue's name in a path. */
@Injectable()
export class ZodPipe implements PipeTransform {
  transform(value: unknown, { metatype, type, data }: ArgumentMetadata): unknown {
    if (type === 'param' && data === 'catalogue') checkCatalogue(String(value));
    const schema = (metatype as { schema?: unknown } | undefined)?.schema;
    return schema instanceof z.ZodType ? validate(schema, value) : value;
  }
}

function describe(issue: z.core.$ZodIssue, root: unknown): FieldProblem[] {
  const field = fieldName(issue.path);
  const got = shorten(valueAt(root, issue.path));
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        field: fieldName([...issue.path, key]),
        expected: 'left out (no such field)',
        got: shorten(valueAt(root, [...issue.path, key])),
      }));
    case 'invalid_type':
      return [{ field, expected: article(issue.expected), got }];
    case 'too_small':
      return [{ field, expected: bound(issue.origin, 'at least', issue.minimum), got }];
    case 'too_big':
      return [{ field, expected: bound(issue.origin, 'at most', issue.maximum), got }];
    case 'invalid_value':
      return [{ field, expected: `one of ${issue.values.map(String).join(', ')}`, got }];
    case 'custom':
      return [{ field, expected: issue.message, got: typeof issue.params?.got === 'string' ? issue.params.got : got }];
    default:
      return [{ field, expected: issue.message, got }];
  }
}

function bound(origin: string, word: string, limit: number | bigint): string {
  if (origin === 'string') return `${word} ${limit} characters`;
  if (origin === 'array') return `${word} ${limit} values`;
  return `${word} ${limit}`;
}

function article(type: string): string {
  if (type === 'int') return 'a whole number';
  if (type === 'number') return 'a finite number';
  return `${/^[aeio]/.test(type) ? 'an' : 'a'} ${type}`;
}

function fieldName(path: readonly PropertyKey[]): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return text === '' ? '(body)' : text.replace(/^\./, '');
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    root,
  );
}

const SHOWN = 60;

/** The value as a person would recognise it; never the whole of a large one. */
function shorten(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Buffer.isBuffer(value)) return `a file of ${value.length} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length} values`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}… (${text.length} characters)` : text;
}
