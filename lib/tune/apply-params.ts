import { LookalikeError } from '../../contracts/errors.ts';
import type { Json, JsonObject } from '../../contracts/json.ts';
import type { RetrainConfig } from '../../contracts/training.ts';

/** What the parts that come in kinds take when another kind is chosen: path of the part -> kind -> parameters. */
export type KindDefaults = Readonly<Record<string, { defaults: Record<string, Readonly<JsonObject>> }>>;

/**
 * The configuration of a trial: the base with the values of `params` (path -> value) in their places. An object that is chosen replaces
 * the one before. A path that ends in `.kind` and names another kind replaces its part by that kind's defaults; what else `params` say
 * about the part comes on top. Neither argument is changed. Whether the values themselves are allowed is the schema's to say.
 * @throws LookalikeError `invalidInput` for a path through something that is no object
 */
export function applyParams(base: RetrainConfig, params: JsonObject, kinds: KindDefaults = {}): RetrainConfig {
  // Kinds first, whatever order the values come in: a part is replaced before its pieces are changed.
  const isKind = (path: string): number => (path.endsWith('.kind') ? 0 : 1);
  const paths = Object.keys(params).sort((a, b) => isKind(a) - isKind(b));
  const config = paths.reduce<JsonObject>(
    (whole, path) => {
      const parts = path.split('.');
      const part = path.endsWith('.kind') ? parts.slice(0, -1) : null;
      const kind = params[path]!;
      if (part === null || valueAt(whole, parts) === kind) return withValue(whole, parts, params[path]!, path);
      const defaults = typeof kind === 'string' ? kinds[part.join('.')]?.defaults[kind] : undefined;
      return withValue(whole, part, { ...defaults, kind }, path);
    },
    base as unknown as JsonObject,
  );
  return config as unknown as RetrainConfig;
}

function valueAt(whole: JsonObject, parts: readonly string[]): Json | undefined {
  return parts.reduce<Json | undefined>(
    (at, part) => (isObject(at) && Object.hasOwn(at, part) ? at[part] : undefined),
    whole,
  );
}

function withValue(whole: JsonObject, [first, ...rest]: readonly string[], value: Json, path: string): JsonObject {
  if (first === undefined || first === '' || first === '__proto__') {
    throw new LookalikeError('invalidInput', `Expected a path such as train.optimizer.learningRate, got "${path}".`);
  }
  if (rest.length === 0) return { ...whole, [first]: value };
  const inside = Object.hasOwn(whole, first) ? whole[first] : undefined;
  if (inside !== undefined && !isObject(inside)) {
    throw new LookalikeError(
      'invalidInput',
      `Expected ${path} to lead through objects, but ${first} is ${JSON.stringify(inside)}.`,
    );
  }
  return { ...whole, [first]: withValue(inside ?? {}, rest, value, path) };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
