import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../infra/config/env.ts';
import { resolveModel } from '../../../infra/evaluation/resolve-model.ts';
import type { Stores } from '../../../infra/stores.ts';
import { openTestStores } from '../artifacts/open-test-stores.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';

const asked = (stores: Stores, model: string, catalogue = 'default') =>
  resolveModel({ stores, config: loadConfig({ LOOKALIKE_DATA_DIR: temporaryFolder() }), model, catalogue });

/** A catalogue of one item whose first generation serves; gives its model. */
async function serve(stores: Stores, catalogue: string): Promise<string> {
  await stores.registry.catalogue.upsertItems(catalogue, [
    { id: 'a', image: 'a'.repeat(64), category: null, label: null, title: null, attributes: {} },
  ]);
  const common = { inputs: {}, config: { catalogue }, seed: null, metrics: {}, files: {} };
  const { id: model } = await stores.artifacts.publish({ ...common, kind: 'model', summary: { dim: 4 } });
  const inputs = { shard0: 'shard-0' };
  const { id: index } = await stores.artifacts.publish({ ...common, kind: 'index', inputs, summary: {} });
  const { generations } = stores.registry;
  const draft = { catalogue, snapshot: 's', workflowId: 'w', workflowRunId: `run of ${catalogue}` };
  const { number } = await generations.create(draft);
  await generations.update(catalogue, number, { model, index, embeddings: 'e' });
  await generations.switchTo(catalogue, number);
  return model;
}

describe('the model that a person means', () => {
  it('is what serves the catalogue, or the artefact of that id', async () => {
    const stores = await openTestStores();
    const model = await serve(stores, 'shoes');
    expect(await asked(stores, 'current', 'shoes')).toBe(model);
    expect(await asked(stores, model)).toBe(model);
  });

  it('is missed with the way to get one where nothing serves', async () => {
    const stores = await openTestStores();
    await expect(asked(stores, 'current')).rejects.toThrow(
      'Expected a generation that serves the catalogue "default", found none. Run `lookalike retrain`, or use --model pretrained.',
    );
    await expect(asked(stores, `model-${'0'.repeat(32)}`)).rejects.toMatchObject({ code: 'notFound' });
  });

  it('is never another catalogue’s, but those that are served are named', async () => {
    const stores = await openTestStores();
    await serve(stores, 'shoes');
    await expect(asked(stores, 'current')).rejects.toThrow(/These catalogues are served: "shoes"; name one with --cat/);
    await serve(stores, 'bags');
    await expect(asked(stores, 'current')).rejects.toThrow(/served: "bags", "shoes";/);
  });
});
