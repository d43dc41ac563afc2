import { LookalikeError } from '../../contracts/errors.ts';
import type { Range } from './optimizer.ts';
import type { ParameterLayout, ShardConfig } from './protocol.ts';

/** Ranges start at multiples of this many floats: one cache line, so that neighbours never share one. */
const ALIGNMENT = 16;

/** Lays parameters end to end in the order given. @throws LookalikeError `invalidInput` for a name that comes twice or an empty list */
export function createLayout(
  parameters: readonly { name: string; length: number; decays: boolean }[],
): ParameterLayout {
  let offset = 0;
  const entries = parameters.map(({ name, length, decays }) => {
    const entry = { name, offset, length, decays };
    offset += length;
    return entry;
  });
  if (offset === 0 || new Set(entries.map(({ name }) => name)).size < entries.length) {
    throw new LookalikeError(
      'invalidInput',
      `Expected parameters with values and distinct names, got ${JSON.stringify(parameters)}.`,
    );
  }
  return { entries, length: offset };
}

/**
 * The parameters as one vector, in `into` where given. Copies.
 * @throws LookalikeError `dimensionMismatch` when a parameter is missing or has another length
 */
export function flatten(
  layout: ParameterLayout,
  parameters: Readonly<Record<string, Float32Array>>,
  into = new Float32Array(layout.length),
): Float32Array {
  for (const { name, offset, length } of layout.entries) {
    const values = parameters[name];
    if (values?.length !== length) {
      throw new LookalikeError(
        'dimensionMismatch',
        `Expected ${length} values of \`${name}\`, got ${values?.length ?? 'none'}.`,
      );
    }
    into.set(values, offset);
  }
  return into;
}

/** Each parameter as a view of the vector. @throws LookalikeError `dimensionMismatch` */
export function unflatten(layout: ParameterLayout, vector: Float32Array): Record<string, Float32Array> {
  if (vector.length !== layout.length) {
    throw new LookalikeError(
      'dimensionMismatch',
      `Expected ${layout.length} values in the vector, got ${vector.length}.`,
    );
  }
  return Object.fromEntries(
    layout.entries.map(({ name, offset, length }) => [name, vector.subarray(offset, offset + length)]),
  );
}

/**
 * Cuts 0..length into `numShards` ranges in order, equal but for one cache line: a large parameter is split wherever a cut falls.
 * @throws LookalikeError `invalidInput` when a range would be empty
 */
export function partition(length: number, numShards: number): Range[] {
  const numLines = Math.ceil(length / ALIGNMENT);
  if (!Number.isInteger(numShards) || numShards < 1 || numShards > numLines) {
    throw new LookalikeError(
      'invalidInput',
      `Expected 1 to ${numLines} shards for ${length} parameters, got ${numShards}: set \`shards\` accordingly.`,
    );
  }
  const cut = (i: number): number => Math.min(length, Math.floor((i * numLines) / numShards) * ALIGNMENT);
  return Array.from({ length: numShards }, (_, i) => ({ start: cut(i), end: cut(i + 1) }));
}

/** The parts of `range` to which weight decay applies, relative to its start. */
export function decayRangesOf(layout: ParameterLayout, range: Range): Range[] {
  return layout.entries
    .filter(({ decays }) => decays)
    .map(({ offset, length }) => ({
      start: Math.max(offset, range.start) - range.start,
      end: Math.min(offset + length, range.end) - range.start,
    }))
    .filter(({ start, end }) => start < end);
}

/** What each of `numShards` shards of a run is made of. @throws LookalikeError as `partition` */
export function shardConfigsOf(
  layout: ParameterLayout,
  numShards: number,
  shared: Omit<ShardConfig, 'range' | 'decayRanges'>,
): ShardConfig[] {
  return partition(layout.length, numShards).map((range) => ({
    ...shared,
    range,
    decayRanges: decayRangesOf(layout, range),
  }));
}
