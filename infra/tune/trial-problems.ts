import { errorMessage } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { TuneConfig } from '../../contracts/tuning.ts';
import { combinations } from '../../lib/tune/combinations.ts';
import { gridValues } from '../../lib/tune/dimension.ts';
import { trialConfig } from './trial-config.ts';

/** Combinations that are tried before a search starts; validating one takes a fraction of a millisecond. */
const MAX_TRIED = 2_000;
/** One example says what is wrong; a few say whether it is one thing. */
const MAX_TOLD = 3;

/**
 * Combinations of a space that are no configuration: both ends of each range, every choice, in all combinations (the first
 * {@link MAX_TRIED}). What contradicts only between the ends is found by its trial, which fails with the reason.
 */
export function trialProblems({ base, space }: TuneConfig): string[] {
  const problems: string[] = [];
  let tried = 0;
  for (const params of combinations(space, (dimension) => gridValues(dimension, 2))) {
    if (++tried > MAX_TRIED || problems.length === MAX_TOLD) break;
    const why = contradictionOf(base, params);
    if (why !== null)
      problems.push(`With ${describe(params)}: ${why} Narrow the range, or give the dimension a \`when\`.`);
  }
  return problems;
}

function contradictionOf(base: TuneConfig['base'], params: JsonObject): string | null {
  try {
    trialConfig(base, params);
    return null;
  } catch (error) {
    return errorMessage(error).split('\n').slice(1).join(' ');
  }
}

/** `train.dim=64, train.loss={"kind":"supCon"}`. */
export function describe(params: JsonObject): string {
  const parts = Object.entries(params).map(
    ([path, value]) => `${path}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return parts.length === 0 ? 'the base' : parts.join(', ');
}
