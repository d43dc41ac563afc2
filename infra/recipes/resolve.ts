import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { RetrainConfig, TrainConfig } from '../../contracts/training.ts';
import { explainIssues } from './explain.ts';
import { FINETUNE_DEFAULTS } from './finetune-defaults.ts';
import { DATA_PARALLEL_DEFAULTS, KINDS, MODEL_PARALLEL_DEFAULTS } from './kind-defaults.ts';
import { nearest } from './nearest.ts';
import { RECIPES } from './recipes.ts';
import { RetrainConfigSchema } from './schema.ts';

export interface RecipeChoice {
  /** Default: `default`. */
  recipe?: string;
  /** A whole configuration to start from instead of a recipe's: the best of a search. */
  base?: RetrainConfig;
  /** Any part of a RetrainConfig: an object, or the path of a YAML or JSON file that holds one. */
  file?: unknown;
  /** `key.path=value` each; a value is JSON where it parses as such, else text. Applied last. */
  set?: readonly string[];
}

export function listRecipes(): { name: string; about: string; config: RetrainConfig }[] {
  return Object.entries(RECIPES).map(([name, { about, config }]) => ({ name, about, config }));
}

/**
 * The full configuration of a run: recipe, then file, then single settings. Where another `kind` of loss, optimiser or index is
 * chosen, what is not said about it takes that kind's defaults; parameters of the kind before do not stay. Likewise a training that
 * is spread over processes takes defaults for what is not said about how.
 * @throws LookalikeError `invalidInput` naming every key that is unknown or out of range, and what was probably meant
 */
export function resolveRetrainConfig({ recipe = 'default', base, file, set = [] }: RecipeChoice = {}): RetrainConfig {
  const found = Object.hasOwn(RECIPES, recipe) ? RECIPES[recipe] : undefined;
  if (found === undefined) {
    const names = Object.keys(RECIPES);
    const meant = nearest(recipe, names);
    const hint = meant === undefined ? '' : ` Did you mean "${meant}"?`;
    throw new LookalikeError('invalidInput', `Expected a recipe of ${names.join(', ')}; got "${recipe}".${hint}`);
  }
  const recipeConfig = structuredClone(base ?? found.config) as unknown as JsonObject;
  const overrides = typeof file === 'string' ? readConfigFile(file) : (file ?? {});
  if (!isPlainObject(overrides)) {
    throw new LookalikeError('invalidInput', 'Expected the configuration file to hold an object.');
  }
  // All settings at once: which of them stands first must not decide what a change of kind leaves of the others.
  const settings = set.map(parseSetting).reduce((all, next) => merged(all, next, null), {});
  const asked = merged(merged({}, overrides, null), settings, null);
  const spread = [SPREAD, CUT].reduce(
    (config, { strategy, defaults }) => (isAsked(strategy, asked) ? merged(defaults, config, null) : config),
    recipeConfig,
  );
  const known = isPlainObject(asked['finetune']) ? merged(FINETUNED, spread, null) : spread;
  return checkedConfig(merged(merged(known, overrides, ''), settings, ''), known);
}

/**
 * A whole configuration, if it is one.
 * @param known a configuration whose keys a person may have meant
 * @throws LookalikeError `invalidInput` as `resolveRetrainConfig`
 */
export function checkedConfig(config: JsonObject, known: JsonObject): RetrainConfig {
  const parsed = RetrainConfigSchema.safeParse(config);
  if (!parsed.success) {
    const faults = explainIssues(parsed.error.issues, config, known);
    throw new LookalikeError('invalidInput', `The configuration is not usable.\n${faults}`);
  }
  return parsed.data;
}

/** A strategy over several processes, and what it takes by default under the key of its name. */
interface Spread {
  strategy: Exclude<TrainConfig['strategy'], 'single'>;
  defaults: JsonObject;
}

const SPREAD = spreadOf('dataParallel', DATA_PARALLEL_DEFAULTS);
const CUT = spreadOf('modelParallel', MODEL_PARALLEL_DEFAULTS);

function spreadOf(strategy: Spread['strategy'], defaults: object): Spread {
  return { strategy, defaults: { train: { [strategy]: structuredClone(defaults) as JsonObject } } };
}

const FINETUNED: JsonObject = { finetune: structuredClone(FINETUNE_DEFAULTS) as unknown as JsonObject };

/** Whether overrides choose a strategy, or say how it works. */
function isAsked(strategy: Spread['strategy'], { train }: JsonObject): boolean {
  return isPlainObject(train) && (train['strategy'] === strategy || train[strategy] !== undefined);
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

/** `change` over `base`, which stands at `path` of a configuration; `null`: at none, so that kinds mean nothing. */
function merged(base: JsonObject, change: JsonObject, path: string | null): JsonObject {
  const out = { ...startOf(base, change, path) };
  for (const [key, value] of Object.entries(change)) {
    // Assigned, it would replace the prototype, past every check of keys.
    if (key === '__proto__') throw new LookalikeError('invalidInput', 'Expected no key "__proto__".');
    const before = Object.hasOwn(out, key) ? out[key] : undefined;
    const inner = path === null ? null : path === '' ? key : `${path}.${key}`;
    out[key] = isPlainObject(value) ? merged(isPlainObject(before) ? before : {}, value, inner) : value;
  }
  return out;
}

/** What a change is laid over: the part as it was or, when it chooses another kind, that kind's defaults. */
function startOf(base: JsonObject, change: JsonObject, path: string | null): JsonObject {
  const part = path === null ? undefined : KINDS[path];
  const kind = change['kind'];
  if (part === undefined || typeof kind !== 'string' || kind === base['kind']) return base;
  const defaults = Object.hasOwn(part.defaults, kind) ? part.defaults[kind] : undefined;
  // An unknown kind is the one fault to report.
  if (defaults === undefined) return base;
  const kept = Object.fromEntries(Object.entries(base).filter(([key]) => part.shared.includes(key)));
  return { ...kept, ...defaults };
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
