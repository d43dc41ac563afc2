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
  if (!serving?.model) throw nothingServes(catalogue, await servingCatalogues(stores));
  return serving.model;
}

async function servingCatalogues({ registry }: Stores): Promise<string[]> {
  const all = (await registry.catalogue.catalogues()).map(({ catalogue }) => catalogue);
  const serving = await Promise.all(all.map((catalogue) => registry.generations.list(catalogue, 'serving')));
  return all.filter((_, i) => serving[i]!.length > 0);
}

/** Never another catalogue's model unasked: the numbers would be of something else than was meant. */
function nothingServes(catalogue: string, others: readonly string[]): LookalikeError {
  const named = others.map((name) => `"${name}"`).join(', ');
  const way =
    others.length === 0
      ? 'Run `lookalike retrain`, or use --model pretrained.'
      : `These catalogues are served: ${named}; name one with --catalogue. Or run \`lookalike retrain\`, or use --model pretrained.`;
  return new LookalikeError(
    'notFound',
    `Expected a generation that serves the catalogue "${catalogue}", found none. ${way}`,
  );
}
