import { CancelledFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it } from 'vitest';
import { createBuildActivities } from '../../activities/build.ts';
import { createCatalogueActivities } from '../../activities/catalogue.ts';
import type { CatalogueDeps } from '../../activities/catalogue.ts';
import { createTrainActivities } from '../../activities/train.ts';
import type { ArtifactStore } from '../../contracts/artifacts.ts';
import type { CatalogueItem } from '../../contracts/catalogue.ts';
import { loadConfig } from '../../infra/config/env.ts';
import { DEFAULT_BACKBONE } from '../../infra/models/ensure-backbone.ts';
import { withCacheLock } from '../../infra/provision/cache.ts';
import { createSnapshot } from '../../infra/snapshot/create-snapshot.ts';
import type { Stores } from '../../infra/stores.ts';
import { openTestStores } from '../infra/artifacts/open-test-stores.ts';
import { temporaryFolder } from '../infra/artifacts/temporary-folder.ts';

const item = (id: string, label: string): CatalogueItem => ({
  ...{ id, image: id.padStart(64, '0'), category: null, label, title: null, attributes: {} },
});

async function filled(): Promise<Stores> {
  const stores = await openTestStores();
  await stores.registry.catalogue.upsertItems('c', [item('1', 'x'), item('2', 'y'), item('3', 'x'), item('4', 'y')]);
  return stores;
}

/** The cancel arrives while the first call of this kind is under way. */
function cancelledDuring(stores: Stores, method: 'get' | 'materialise', env: MockActivityEnvironment): Stores {
  const { artifacts } = stores;
  const cancelIf = (called: typeof method): void => void (called === method && env.cancel('CANCELLED'));
  const watched: ArtifactStore = {
    ...artifacts,
    get(id) {
      cancelIf('get');
      return artifacts.get(id);
    },
    materialise(id, file) {
      cancelIf('materialise');
      return artifacts.materialise(id, file);
    },
  };
  return { ...stores, artifacts: watched };
}

describe('a cancelled activity', () => {
  it('planEmbedding plans nothing', async () => {
    const stores = await filled();
    const { id: snapshot } = await createSnapshot(stores, 'c');
    const env = new MockActivityEnvironment();
    const run = createBuildActivities({ stores: cancelledDuring(stores, 'materialise', env) });
    const planning = env.run(() => run.planEmbedding({ snapshot, model: 'model-1', views: 1 }));
    await expect(planning).rejects.toBeInstanceOf(CancelledFailure);
    expect(await stores.artifacts.list('embeddingPlan')).toEqual([]);
  });

  it('takeSnapshot stops between two rows and leaves no snapshot', async () => {
    const stores = await filled();
    const env = new MockActivityEnvironment();
    let numRead = 0;
    const snapshotRows: Stores['registry']['snapshotRows'] = async function* (catalogue) {
      for await (const row of stores.registry.snapshotRows(catalogue)) {
        if (++numRead === 2) env.cancel('CANCELLED');
        yield row;
      }
    };
    const watched = { ...stores, registry: { ...stores.registry, snapshotRows } };
    const run = createCatalogueActivities({ stores: watched, client: {} as CatalogueDeps['client'] });
    await expect(env.run(() => run.takeSnapshot({ catalogue: 'c' }))).rejects.toBeInstanceOf(CancelledFailure);
    expect(numRead).toBe(2);
    expect(await stores.artifacts.list('snapshot')).toEqual([]);
  });

  it('ensurePretrained publishes no model', async () => {
    const stores = await openTestStores();
    const preprocessing = { resizeShorterSide: 8, size: 8, mean: [0, 0, 0], std: [1, 1, 1], background: [0, 0, 0] };
    const backbone = await stores.artifacts.publish({
      ...{ kind: 'model', inputs: {}, config: {}, seed: null, metrics: {} },
      summary: { stage: 'backbone', name: 'small', dim: 2, featureDim: 2, preprocessing, backbone: null },
      files: { 'backbone.onnx': { bytes: new Uint8Array(8) } },
    });
    const env = new MockActivityEnvironment();
    const run = activities(cancelledDuring(stores, 'get', env));
    const ensuring = env.run(() => run.ensurePretrained({ backbone: backbone.id }));
    await expect(ensuring).rejects.toBeInstanceOf(CancelledFailure);
    expect((await stores.artifacts.list('model')).map(({ id }) => id)).toEqual([backbone.id]);
  });

  it('ensureBackbone no longer waits for weights', async () => {
    const stores = await openTestStores();
    const config = loadConfig({ LOOKALIKE_CACHE_DIR: temporaryFolder() });
    const env = new MockActivityEnvironment();
    env.on('heartbeat', (detail) => {
      if ((detail as { detail?: string } | undefined)?.detail?.includes('waiting') === true) env.cancel('CANCELLED');
    });
    // Somebody else provides them, for as long as the activity lives.
    await withCacheLock(config, 'weights', undefined, async () => {
      const ensuring = env.run(() => activities(stores, config).ensureBackbone({ name: DEFAULT_BACKBONE }));
      await expect(ensuring).rejects.toBeInstanceOf(CancelledFailure);
    });
  });
});

function activities(stores: Stores, config = loadConfig({ LOOKALIKE_CACHE_DIR: temporaryFolder() })) {
  const none = () => Promise.reject(new Error('Expected no training.'));
  return createTrainActivities({ config, stores, train: none, finetune: none });
}
