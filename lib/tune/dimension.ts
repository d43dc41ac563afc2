import type { Json, JsonObject } from '../../contracts/json.ts';
import type { Dimension, SearchSpace } from '../../contracts/tuning.ts';

export type NumericDimension = Extract<Dimension, { kind: 'float' | 'int' }>;

/** Digits that a drawn float keeps: finer differences are noise, and a person reads it. */
const DIGITS = 6;

/** The distance of neighbouring values; 0 where a dimension is continuous. */
export function quantum(dimension: NumericDimension): number {
  return dimension.step ?? (dimension.kind === 'int' ? 1 : 0);
}

/** How many values a dimension has; `Infinity` where it is continuous. */
export function numValues(dimension: Dimension): number {
  if (dimension.kind === 'choice') return dimension.values.length;
  const step = quantum(dimension);
  // 0.3 / 0.1 is 2.9999999999999996: a value that a person would count must not be lost to rounding.
  return step === 0 ? Infinity : Math.floor((dimension.high - dimension.low) / step + 1e-9) + 1;
}

/** The greatest value that is a whole number of steps above the lowest. */
function highest(dimension: NumericDimension): number {
  const step = quantum(dimension);
  return step === 0 ? dimension.high : dimension.low + (numValues(dimension) - 1) * step;
}

/**
 * The interval that densities live on: values, or their logarithms. Where values are discrete it reaches half a step beyond both ends,
 * so that every value owns an equal share (linear) or the share of its own interval (log).
 */
export function interval(dimension: NumericDimension): { from: number; to: number } {
  const half = quantum(dimension) / 2;
  return { from: inner(dimension, dimension.low - half), to: inner(dimension, highest(dimension) + half) };
}

/** A number as it stands on {@link interval}. */
export function inner(dimension: NumericDimension, value: number): number {
  return dimension.scale === 'log' ? Math.log(value) : value;
}

/** The value of the dimension at, or nearest to, a place on {@link interval}. */
export function valueAtInner(dimension: NumericDimension, place: number): number {
  const exact = dimension.scale === 'log' ? Math.exp(place) : place;
  const step = quantum(dimension);
  const top = highest(dimension);
  const near = step === 0 ? exact : dimension.low + Math.round((exact - dimension.low) / step) * step;
  // Steps of 0.1 would otherwise leave 0.30000000000000004 behind.
  const readable = Number(near.toPrecision(step === 0 ? DIGITS : 12));
  return Math.min(top, Math.max(dimension.low, readable));
}

/** A value drawn evenly (on the logarithm where the scale is `log`) by one uniform number in [0, 1). */
export function drawValue(dimension: Dimension, uniform: number): Json {
  if (dimension.kind === 'choice') return dimension.values[Math.floor(uniform * dimension.values.length)]!;
  const { from, to } = interval(dimension);
  return valueAtInner(dimension, from + uniform * (to - from));
}

/** All values of a dimension that has finitely many, ascending or as written; one by one, as there may be a great many. */
export function* everyValue(dimension: Dimension): Generator<Json> {
  if (dimension.kind === 'choice') yield* dimension.values;
  else {
    const count = numValues(dimension);
    const step = quantum(dimension);
    for (let i = 0; i < count; i++) yield valueAtInner(dimension, inner(dimension, dimension.low + i * step));
  }
}

/**
 * The values that a grid takes: all of a choice, of steps, and of integers when they are few; else `points`, evenly spread on the scale,
 * ends included.
 */
export function gridValues(dimension: Dimension, points: number): Iterable<Json> {
  if (dimension.kind === 'choice' || dimension.step !== undefined || numValues(dimension) <= points) {
    return everyValue(dimension);
  }
  const from = inner(dimension, dimension.low);
  const to = inner(dimension, dimension.high);
  // One point stands in the middle: neither end says more than the other.
  const share = (i: number): number => (points === 1 ? 0.5 : i / (points - 1));
  const values = Array.from({ length: points }, (_, i) => valueAtInner(dimension, from + share(i) * (to - from)));
  // Integers on a logarithmic scale can meet after rounding.
  return new Set(values);
}

/** Paths of the space so that each stands after those that its condition names, else as written. Those of a cycle are left out. */
export function dimensionOrder(space: SearchSpace): string[] {
  const ordered: string[] = [];
  let left = Object.keys(space);
  for (let before = -1; before !== left.length;) {
    before = left.length;
    left = left.filter((path) => {
      const isReady = Object.keys(space[path]?.when ?? {}).every((name) => ordered.includes(name));
      if (isReady) ordered.push(path);
      return !isReady;
    });
  }
  return ordered;
}

/** Whether a dimension is drawn beside these values of the dimensions that its condition names. */
export function isActive(dimension: Dimension, params: JsonObject): boolean {
  return Object.entries(dimension.when ?? {}).every(([path, values]) => {
    const value = Object.hasOwn(params, path) ? params[path] : undefined;
    return value !== undefined && values.some((one) => sameJson(one, value));
  });
}

/** Equality of JSON values; the order of keys says nothing. */
export function sameJson(a: Json, b: Json): boolean {
  return canonical(a) === canonical(b);
}

/** Text that is equal for equal values. */
export function canonical(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key]!)}`).join(',')}}`;
}
