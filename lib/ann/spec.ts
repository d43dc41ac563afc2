import { METRICS } from '../../contracts/ann.ts';
import type { IndexSpec, SearchOptions } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';

/** Inclusive bounds of the hnsw parameters; outside them the graph is useless or does not fit in memory. */
const HNSW_BOUNDS: Record<'m' | 'efConstruction' | 'efSearch' | 'seed', [min: number, max: number]> = {
  m: [2, 256],
  efConstruction: [1, 10_000],
  efSearch: [1, 100_000],
  seed: [0, 0xffffffff],
};

/** @throws LookalikeError `invalidInput` naming the field, what was expected and what came */
export function checkSpec(spec: IndexSpec): void {
  if (!METRICS.includes(spec.metric)) {
    throw new LookalikeError(
      'invalidInput',
      `Expected \`metric\` to be one of ${METRICS.join(', ')}, got ${spec.metric}.`,
    );
  }
  switch (spec.kind) {
    case 'exact':
      return;
    case 'hnsw':
      for (const name of Object.keys(HNSW_BOUNDS) as (keyof typeof HNSW_BOUNDS)[]) {
        checkInteger(name, spec[name], ...HNSW_BOUNDS[name]);
      }
      return;
    default:
      throw new LookalikeError(
        'invalidInput',
        `Expected the index \`kind\` to be exact or hnsw, got ${String((spec as { kind: unknown }).kind)}.`,
      );
  }
}

/** @throws LookalikeError `invalidInput` */
export function checkSearch({ k, efSearch }: SearchOptions): void {
  checkInteger('k', k, 1, 0x7fffffff);
  if (efSearch !== undefined) checkInteger('efSearch', efSearch, ...HNSW_BOUNDS.efSearch);
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new LookalikeError(
      'invalidInput',
      `Expected \`${name}\` to be an integer from ${min} to ${max}, got ${value}.`,
    );
  }
}
