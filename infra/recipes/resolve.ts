import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { RetrainConfig } from '../../contracts/training.ts';
import { RECIPES } from './recipes.ts';
import { RetrainConfigSchema } from './schema.ts';

export interface RecipeChoice {
  /** Default: `default`. */
  recipe?: string;
  /** Any part of a RetrainConfig: an object, or the path of a YAML or JSON file that holds one. */
  file?: unknown;
  /** `key.path=value` each; a value is JSON where it parses as such, else text. Applied last. */
  set?: readonly string[];
}

export function listRecipes(): { name: string; about: string; config: RetrainConfig }[] {
  return Object.entries(RECIPES).map(([name, { about, config }]) => ({ name, about, config }));
}

/**
 * The full configuration of a run: recipe, then file, then single settings. Choosing another `kind` of loss, optimiser or index
 * replaces that part instead of mixing parameters of both.
 * @throws LookalikeError `invalidInput` naming every key that is unknown or out of range
 */
export function resolveRetrainConfig({ recipe = 'default', file, set = [] }: RecipeChoice = {}): RetrainConfig {
  const known = Object.hasOwn(RECIPES, recipe) ? RECIPES[recipe] : undefined;
  if (known === undefined) {
    const names = Object.keys(RECIPES).join(', ');
    throw new LookalikeError('invalidInput', `Expected a recipe of ${names}; got "${recipe}".`);
  }
  let config = structuredClone(known.config) as unknown as JsonObject;
  const overrides = typeof file === 'string' ? readConfigFile(file) : (file ?? {});
  if (!isPlainObject(overrides)) {
    throw new LookalikeError('invalidInput', 'Expected the configuration file to hold an object.');
  }
  config = merged(config, overrides);
  for (const setting of set) config = merged(config, parseSetting(setting));
  const parsed = RetrainConfigSchema.safeParse(config);
  if (!parsed.success) {
    throw new LookalikeError('invalidInput', `The configuration is not usable.\n${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}

function readConfigFile(path: string): unknown {
  try {
    // YAML 1.2 is a superset of JSON.
    return parse(readFileSync(path, 'utf8')) as unknown;
  } catch (error) {
    const why = errorMessage(error);
    throw new LookalikeError('invalidInput', `Expected a YAML or JSON configuration at ${path}: ${why}`);
  }
}

function merged(base: JsonObject, change: JsonObject): JsonObject {
  if ('kind' in change && 'kind' in base && change['kind'] !== base['kind']) return { ...change };
  const out = { ...base };
  for (const [key, value] of Object.entries(change)) {
    const before = Object.hasOwn(base, key) ? base[key] : undefined;
    out[key] = isPlainObject(value) && isPlainObject(before) ? merged(before, value) : value;
  }
  return out;
}

function parseSetting(setting: string): JsonObject {
  const at = setting.indexOf('=');
  const path = setting.slice(0, Math.max(0, at)).split('.');
  if (path.some((part) => part === '' || part === '__proto__')) {
    throw new LookalikeError('invalidInput', `Expected a setting as key.path=value, got "${setting}".`);
  }
  return path.reduceRight<unknown>((value, key) => ({ [key]: value }), parseValue(setting.slice(at + 1))) as JsonObject;
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isPlainObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
