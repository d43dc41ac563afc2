import { LookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { DEFAULT_BACKBONE, ensureBackbone } from '../models/ensure-backbone.ts';
import { ensurePretrained } from '../models/publish-head-model.ts';
import type { ProvisionReport } from '../provision/progress.ts';
import type { Stores } from '../stores.ts';

export interface ModelChoice {
  stores: Stores;
  config: Config;
  /** `current`: what serves `catalogue`; `pretrained`: the default backbone, untrained; or a model artefact's id. */
  model: string;
  catalogue: string;
  report?: ProvisionReport;
}

/** The artefact a person means. @throws LookalikeError `notFound` when nothing serves yet, or there is no such artefact */
export async function resolveModel({ stores, config, model, catalogue, report }: ModelChoice): Promise<string> {
  if (model === 'pretrained') {
    const backbone = await ensureBackbone(stores, config, DEFAULT_BACKBONE, report);
    return (await ensurePretrained(stores, backbone.id)).id;
  }
  if (model !== 'current') return (await stores.artifacts.get(model)).id;
  const [serving] = await stores.registry.generations.list(catalogue, 'serving');
  if (!serving?.model) {
    throw new LookalikeError(
      'notFound',
      `Expected a generation that serves the catalogue "${catalogue}", found none. Run \`lookalike retrain\`, or use --model pretrained.`,
    );
  }
  return serving.model;
}
