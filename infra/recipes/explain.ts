import type { z } from 'zod';
import type { JsonObject } from '../../contracts/json.ts';
import { KINDS } from './kind-defaults.ts';
import { nearest } from './nearest.ts';

/** One line per fault: where, what was expected, and the nearest thing that exists. `config` is what was validated. */
export function explainIssues(issues: readonly z.core.$ZodIssue[], config: JsonObject, known: JsonObject): string {
  return issues.flatMap((issue) => explain(issue, config, known)).join('\n');
}

function explain(issue: z.core.$ZodIssue, config: JsonObject, known: JsonObject): string[] {
  const at = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(at, key, config, known));
  const given = valueAt(config, at);
  const kinds = KINDS[at.slice(0, -1).join('.')]?.defaults;
  const choices =
    issue.code === 'invalid_value'
      ? issue.values.map(String)
      : issue.code !== 'custom' && at.at(-1) === 'kind' && kinds !== undefined && Object.keys(kinds);
  const got = `got ${JSON.stringify(given) ?? 'nothing'}`;
  if (choices) {
    const meant = typeof given === 'string' ? nearest(given, choices) : undefined;
    return [`${at.join('.')}: expected one of ${choices.join(', ')}, ${got}.${hint(meant)}`];
  }
  const expected = issue.message.replace(/^(Invalid input|Too (big|small)): /, '').replace(/, received .*$/, '');
  return [`${at.join('.') || 'the configuration'}: ${expected}, ${got}.`];
}

function unknownKey(at: string[], key: string, config: JsonObject, known: JsonObject): string {
  const name = [...at, key].join('.');
  const keys = keysAt(at, config, known);
  const elsewhere = pathsOf(known).filter((path) => path !== name && path.split('.').at(-1) === key);
  const sibling = nearest(key, keys);
  const meant = sibling === undefined ? elsewhere[0] : [...at, sibling].join('.');
  const kind = valueAt(config, [...at, 'kind']);
  const what = KINDS[at.join('.')] && typeof kind === 'string' ? `${at.join('.')} of kind ${kind}` : at.join('.');
  const suffix = hint(meant);
  return `${name}: unknown key.${suffix || ` ${what || 'The configuration'} has ${keys.join(', ')}.`}`;
}

/** The keys that may stand at a path: of a part that comes in kinds, those of the kind chosen. */
function keysAt(at: string[], config: JsonObject, known: JsonObject): string[] {
  const part = KINDS[at.join('.')];
  const kind = valueAt(config, [...at, 'kind']);
  if (part !== undefined && typeof kind === 'string' && Object.hasOwn(part.defaults, kind)) {
    return ['kind', ...part.shared, ...Object.keys(part.defaults[kind]!)];
  }
  return Object.keys(valueAt(known, at) ?? {});
}

function valueAt(config: JsonObject, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as JsonObject)[key] : undefined,
    config,
  );
}

function pathsOf(value: JsonObject, prefix = ''): string[] {
  return Object.entries(value).flatMap(([key, child]) =>
    typeof child === 'object' && child !== null
      ? [`${prefix}${key}`, ...pathsOf(child as JsonObject, `${prefix}${key}.`)]
      : [`${prefix}${key}`],
  );
}

function hint(meant: string | undefined): string {
  return meant === undefined ? '' : ` Did you mean "${meant}"?`;
}
