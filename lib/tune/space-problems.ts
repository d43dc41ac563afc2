import type { Json } from '../../contracts/json.ts';
import type { Dimension, SearchConfig, SearchSpace } from '../../contracts/tuning.ts';
import { combinations, countUpTo } from './combinations.ts';
import {
  canonical,
  dimensionOrder,
  gridValues,
  inner,
  numValues,
  quantum,
  sameJson,
  valueAtInner,
} from './dimension.ts';
import type { NumericDimension } from './dimension.ts';

/** A grid beyond this was not meant: it would take weeks, and each decision walks through it. */
export const MAX_COMBINATIONS = 10_000;

/**
 * Everything that makes a search space contradictory, each as one sentence; empty when it can be searched.
 * @param search for what only concerns one way of searching: the size of a grid
 */
export function spaceProblems(space: SearchSpace, search?: SearchConfig): string[] {
  const paths = Object.keys(space);
  if (paths.length === 0) return ['Expected at least one dimension, got an empty space: nothing would be varied.'];
  const problems = [
    ...paths.flatMap((path) => pathProblems(path)),
    ...overlaps(paths),
    ...paths.flatMap((path) => rangeProblems(space[path]!).map((problem) => `${path}: ${problem}`)),
    ...paths.flatMap((path) => conditionProblems(path, space).map((problem) => `${path}: ${problem}`)),
  ];
  // What follows walks through the space, which must be sound for it.
  return problems.length > 0 ? problems : [...cycles(space), ...unreachable(space), ...gridProblems(space, search)];
}

function pathProblems(path: string): string[] {
  const parts = path.split('.');
  if (parts.some((part) => part === '')) return [`Expected paths such as train.optimizer.learningRate, got "${path}".`];
  return parts.includes('__proto__') ? [`Expected no key "__proto__", got "${path}".`] : [];
}

function overlaps(paths: readonly string[]): string[] {
  return paths.flatMap((outer) =>
    paths
      .filter((inside) => inside.startsWith(`${outer}.`))
      .map((inside) => `${outer} replaces the whole part that ${inside} changes a piece of: vary one of them.`),
  );
}

function rangeProblems(dimension: Dimension): string[] {
  if (dimension.kind === 'choice') {
    if (dimension.values.length === 0) return ['Expected at least one value to choose from, got none.'];
    const texts = dimension.values.map(canonical);
    const twice = texts.find((text, i) => texts.indexOf(text) !== i);
    return twice === undefined ? [] : [`Expected different values, got ${twice} twice.`];
  }
  const { kind, low, high, scale, step } = dimension;
  const problems: string[] = [];
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [`Expected finite bounds, got ${low} and ${high}.`];
  if (low > high) problems.push(`Expected low <= high, got ${low} and ${high}.`);
  if (low === high) problems.push(`low and high are both ${low}: nothing is varied. Write the value into the base.`);
  if (kind === 'int' && !(Number.isSafeInteger(low) && Number.isSafeInteger(high))) {
    problems.push(`Expected integers as the bounds of an int, got ${low} and ${high}.`);
  }
  if (scale === 'log' && low <= 0) problems.push(`Expected low > 0 on a log scale, got ${low}.`);
  if (step === undefined) return problems;
  if (scale === 'log') problems.push('A step needs a linear scale: leave it out, or list the values as a choice.');
  if (!(step > 0)) problems.push(`Expected step > 0, got ${step}.`);
  else if (low < high && step > high - low) {
    problems.push(`Expected a step of at most high - low = ${high - low}, got ${step}: only ${low} would be left.`);
  }
  if (kind === 'int' && !Number.isSafeInteger(step)) problems.push(`Expected an integer step, got ${step}.`);
  return problems;
}

function conditionProblems(path: string, space: SearchSpace): string[] {
  return Object.entries(space[path]?.when ?? {}).flatMap(([name, values]) => {
    if (name === path) return ['Expected a condition on another dimension, got one on itself.'];
    const other = Object.hasOwn(space, name) ? space[name] : undefined;
    if (other === undefined) return [`Expected a condition on a dimension of the space, got ${name}.`];
    if (values.length === 0)
      return [`Expected at least one value of ${name} in the condition, got none: it never holds.`];
    return values
      .filter((value) => !takes(other, value))
      .map((value) => `The condition asks for ${name} = ${JSON.stringify(value)}, which ${name} never takes.`);
  });
}

/** Whether a value can come up with more than vanishing probability. */
function takes(dimension: Dimension, value: Json): boolean {
  if (dimension.kind === 'choice') return dimension.values.some((one) => sameJson(one, value));
  // Not to be judged while the range itself is at fault.
  if (rangeProblems(dimension).length > 0) return true;
  return typeof value === 'number' && Number.isFinite(numValues(dimension)) && isOnStep(dimension, value);
}

function isOnStep(dimension: NumericDimension, value: number): boolean {
  const isInside = value >= dimension.low - quantum(dimension) / 2 && value <= dimension.high + quantum(dimension) / 2;
  return isInside && valueAtInner(dimension, inner(dimension, value)) === value;
}

function cycles(space: SearchSpace): string[] {
  const ordered = new Set(dimensionOrder(space));
  const left = Object.keys(space).filter((path) => !ordered.has(path));
  if (left.length === 0) return [];
  return [`Expected conditions that lead somewhere; those of ${left.join(', ')} wait for each other in a circle.`];
}

/** Dimensions whose condition, with the conditions of what it names, asks one dimension for two things at once. */
function unreachable(space: SearchSpace): string[] {
  const needs = new Map<string, Map<string, Json[]>>();
  return dimensionOrder(space).flatMap((path) => {
    const all = new Map<string, Json[]>();
    const when = Object.entries(space[path]?.when ?? {});
    for (const [name, values] of [...when, ...when.flatMap(([other]) => [...(needs.get(other) ?? [])])]) {
      const before = all.get(name);
      all.set(name, before === undefined ? values : before.filter((one) => values.some((two) => sameJson(one, two))));
    }
    needs.set(path, all);
    const clash = [...all].find(([, values]) => values.length === 0)?.[0];
    if (clash === undefined) return [];
    return [`${path}: its conditions contradict each other: no value of ${clash} satisfies all that they name.`];
  });
}

function gridProblems(space: SearchSpace, search: SearchConfig | undefined): string[] {
  if (search?.kind !== 'grid') return [];
  const grid = combinations(space, (dimension) => gridValues(dimension, search.points));
  const count = countUpTo(MAX_COMBINATIONS + 1, grid);
  if (count <= MAX_COMBINATIONS) return [];
  return [
    `Expected a grid of at most ${MAX_COMBINATIONS} combinations, got more: take fewer points, larger steps, or search "random" or "tpe".`,
  ];
}
