import { METRICS, SEARCH_EFFORTS } from '../../contracts/ann.ts';
import type { IndexSpec, SearchEffort, SearchOptions } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { IndexKindModule } from './kind.ts';

/** @throws LookalikeError `invalidInput` naming the field, what was expected and what came */
export function checkSpec(spec: IndexSpec, module: IndexKindModule<IndexSpec> | undefined, kinds: string[]): void {
  if (!METRICS.includes(spec.metric)) {
    throw new LookalikeError(
      'invalidInput',
      `Expected \`metric\` to be one of ${METRICS.join(', ')}, got ${spec.metric}.`,
    );
  }
  if (module === undefined) {
    throw new LookalikeError(
      'invalidInput',
      `Expected the index \`kind\` to be one of ${kinds.join(', ')}, got ${String((spec as { kind: unknown }).kind)}.`,
    );
  }
  for (const [name, [min, max]] of Object.entries(module.bounds)) {
    checkInteger(name, (spec as unknown as Record<string, number>)[name]!, min, max);
  }
}

/** @throws LookalikeError `invalidInput` */
export function checkSearch(options: SearchOptions): void {
  checkInteger('k', options.k, 1, 0x7fffffff);
  for (const [name, [min, max]] of Object.entries(SEARCH_EFFORTS)) {
    const effort = options[name as keyof SearchEffort];
    if (effort !== undefined) checkInteger(name, effort, min, max);
  }
}

export function checkInteger(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new LookalikeError(
      'invalidInput',
      `Expected \`${name}\` to be an integer from ${min} to ${max}, got ${value}.`,
    );
  }
}
