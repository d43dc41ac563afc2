import type { JsonObject } from '../../contracts/json.ts';
import type { RetrainConfig } from '../../contracts/training.ts';
import { applyParams } from '../../lib/tune/apply-params.ts';
import { KINDS } from '../recipes/kind-defaults.ts';
import { checkedConfig } from '../recipes/resolve.ts';

/**
 * The configuration of a trial: the base with the values at their paths; another kind of loss or optimiser brings its defaults.
 * @throws LookalikeError `invalidInput` when the values contradict each other or the base
 */
export function trialConfig(base: RetrainConfig, params: JsonObject): RetrainConfig {
  const config = applyParams(base, params, KINDS) as unknown as JsonObject;
  return checkedConfig(config, base as unknown as JsonObject);
}
