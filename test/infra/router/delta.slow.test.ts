import { afterEach, beforeEach, expect, it } from 'vitest';
import { requireCaughtUp } from '../../../activities/caught-up.ts';
import type { Artifact, ArtifactStore } from '../../../contracts/artifacts.ts';
import type { CatalogueItem } from '../../../contracts/catalogue.ts';
import type { RoutingTable } from '../../../contracts/serving.ts';
import { createHostClient } from '../../../infra/data-plane/host-client.ts';
import { startSearchHost } from '../../../infra/data-plane/index.ts';
import type { SearchHost } from '../../../infra/data-plane/index.ts';
import { openRegistry } from '../../../infra/registry/registry.ts';
import type { SqlRegistry } from '../../../infra/registry/registry.ts';
import type { Router, RouterQuery } from '../../../infra/router/index.ts';
import { buildShard } from '../../../infra/shards/index.ts';
import { createSnapshot } from '../../../infra/snapshot/create-snapshot.ts';
import { prepared } from '../../../lib/ann/vectors.ts';
import { seededVectors } from '../../lib/ann/seeded-vectors.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { createTestRouter, DIM, openTestStores, tableOf, TOKEN } from './cluster.ts';

const NUM_SHARDS = 2;
const all = seededVectors(200, DIM, 5);
const image = (i: number): string => String(i).padStart(64, '0');
/** What a model makes of a picture. */
const vectorOf = (sha256: string, model: string): Float32Array =>
  all[model === 'm' ? Number(sha256) : 199 - Number(sha256)]!;
const item = (id: string, i: number, price = 0, category = 'shoe'): CatalogueItem => ({
  ...{ id, image: image(i), category, label: null, title: null, attributes: { price } },
});

let stores: { artifacts: ArtifactStore; registry: SqlRegistry; close(): Promise<void> };
let hosts: SearchHost[];
let routers: Router[];
beforeEach(async () => {
  const shape = () => Promise.resolve({ dim: DIM, numShards: NUM_SHARDS });
  const registry = await openRegistry({ dataDir: temporaryFolder(), databaseUrl: null }, shape);
  stores = { ...(await openTestStores()), registry };
  hosts = [];
  routers = [];
});
afterEach(async () => {
  await Promise.all(routers.map((router) => router.close()));
  await Promise.all(hosts.map((host) => host.close()));
  await stores.registry.close();
  await stores.close();
});

const items = () => stores.registry.catalogue.listItems('shop', { limit: 1_000 });

/** Shards of the catalogue as it is now. */
async function build(model: string): Promise<Artifact[]> {
  const snapshot = await createSnapshot(stores, 'shop');
  const images = [...new Set((await items()).map((one) => one.image))].sort();
  const bytes = Buffer.concat(images.map((one) => Buffer.from(vectorOf(one, model).buffer)));
  const embeddings = await stores.artifacts.publish({
    ...{ kind: 'embeddings', inputs: { snapshot: snapshot.id }, config: { model }, seed: null, metrics: {} },
    summary: { numImages: images.length, numRejected: 0, views: 1, dim: DIM, normalised: true },
    files: { 'images.txt': { bytes: Buffer.from(images.map((one) => `${one}\n`).join('')) }, 'vectors.f32': { bytes } },
  });
  const input = { stores, snapshot: snapshot.id, embeddings: embeddings.id, model };
  const spec = { kind: 'exact', metric: 'cosine' } as const;
  return Promise.all([0, 1].map((shard) => buildShard({ ...input, spec, shard, numShards: NUM_SHARDS })));
}

async function startHost(shards: readonly Artifact[]): Promise<SearchHost> {
  const config = { dataPlane: { host: '127.0.0.1', token: TOKEN } };
  const host = await startSearchHost({ config, stores, feed: stores.registry.changes });
  hosts.push(host);
  await Promise.all(shards.map((shard) => host.loadShard(shard.id)));
  return host;
}

function routerOver(table: RoutingTable): Router {
  const { router } = createTestRouter(table);
  routers.push(router);
  return router;
}

async function embed(model: string): Promise<void> {
  const images = [...new Set((await items()).map((one) => one.image))];
  const vectors = images.map((one) => ({ image: one, vector: vectorOf(one, model) }));
  await stores.registry.changes.putVectors('shop', model, vectors);
}

/** The catalogue of record searched in the plainest words. */
async function nearest(query: Float32Array, k: number, isWanted: (one: CatalogueItem) => boolean): Promise<string[]> {
  const q = prepared(query, 'cosine');
  const score = (x: Float32Array): number => prepared(x, 'cosine').reduce((sum, value, i) => sum + value * q[i]!, 0);
  const scored = (await items())
    .filter(isWanted)
    .map((one) => ({ id: one.id, score: score(vectorOf(one.image, 'm')) }));
  return scored
    .sort((a, b) => b.score - a.score)
    .slice(0, k)
    .map(({ id }) => id);
}

async function expectAllRight(router: Router): Promise<void> {
  const rules: [Pick<RouterQuery, 'category' | 'filter'>, (one: CatalogueItem) => boolean][] = [
    [{}, () => true],
    [{ category: 'bag' }, ({ category }) => category === 'bag'],
    [{ filter: { price: { gte: 5 } } }, ({ attributes }) => Number(attributes['price']) >= 5],
  ];
  for (const vector of all.slice(0, 8)) {
    for (const [filters, isWanted] of rules) {
      const { hits } = await router.search({ catalogue: 'shop', vector, k: 12, ...filters });
      expect(hits.map(({ id }) => id)).toEqual(await nearest(vector, 12, isWanted));
    }
  }
}

const searchable = async (router: Router): Promise<number> => (await router.deltaStatus('shop')).searchableSeq;
const soon = { timeout: 10_000, interval: 20 };

it('changes are searched beside the index of every replica, also of one that comes up later', async () => {
  const { catalogue } = stores.registry;
  await catalogue.upsertItems(
    'shop',
    Array.from({ length: 40 }, (_, i) => item(`i${i}`, i, i % 7, i % 2 ? 'bag' : 'shoe')),
  );
  const shards = await build('m');
  const first = await startHost(shards);
  const router = routerOver(tableOf(1, shards, [first]));
  expect(await router.deltaStatus('shop')).toMatchObject({ searchableSeq: 40, numRows: 0, generation: 1 });
  await expectAllRight(router);

  await catalogue.writeItems('shop', [
    { put: item('i3', 3, 9, 'shoe') },
    { delete: 'i4' },
    { put: item('i5', 105, 9) },
    { put: item('new', 106, 6, 'bag') },
  ]);
  await expect
    .poll(() => router.deltaStatus('shop'), soon)
    .toMatchObject({ searchableSeq: 42, numWaiting: 2, numRows: 1 });
  const { hits } = await router.search({ catalogue: 'shop', vector: all[5]!, k: 1 });
  expect(hits.map(({ id }) => id)).toEqual(['i5']);
  await expect(router.vectorOf('shop', 'i4')).rejects.toMatchObject({ code: 'notFound' });
  await embed('m');
  await expect.poll(() => searchable(router), soon).toBe(44);
  await expectAllRight(router);
  expect((await router.vectorOf('shop', 'new')).vector).toEqual(prepared(all[106]!, 'cosine'));
  const changed = await router.search({ catalogue: 'shop', vector: all[0]!, k: 50, changedOnly: true });
  expect(changed.hits.map(({ id }) => id).sort()).toEqual(['i3', 'i5', 'new']);

  // Loading ends only when it has caught up: the very first answer is right.
  const second = await startHost(shards);
  await expectAllRight(routerOver(tableOf(1, shards, [second])));
  await Promise.all(shards.map((shard) => first.unloadShard(shard.id)));
  await catalogue.writeItems('shop', [{ delete: 'i5' }]);
  await Promise.all(shards.map((shard) => first.loadShard(shard.id)));
  await expectAllRight(router);
});

it('the next generation takes the changes in, and is not let serve before it has those that came meanwhile', async () => {
  const { catalogue } = stores.registry;
  await catalogue.upsertItems(
    'shop',
    Array.from({ length: 20 }, (_, i) => item(`i${i}`, i)),
  );
  const old = await build('m');
  const host = await startHost(old);
  const serving = tableOf(1, old, [host]);
  await catalogue.writeItems('shop', [{ put: item('before', 100) }, { delete: 'i1' }]);
  await embed('m');
  const next = await build('n');
  await catalogue.writeItems('shop', [{ put: item('after', 101) }, { delete: 'i2' }]);
  await embed('m');
  await expect.poll(() => searchable(routerOver(serving)), soon).toBe(24);

  const table = tableOf(2, next, [await startHost(next)], 'n');
  const client = createHostClient(TOKEN);
  await expect(requireCaughtUp(client, serving, table)).rejects.toThrow(/up to 24, as generation 1 does; it is at 22/);
  await embed('n');
  await expect.poll(() => requireCaughtUp(client, serving, table).then(() => 'yes'), soon).toBe('yes');
  const unanswering = tableOf(1, old, [{ url: 'http://127.0.0.1:1' }]);
  await requireCaughtUp(client, unanswering, table);
  await client.close();

  const router = routerOver(table);
  expect(await router.deltaStatus('shop')).toMatchObject({ numRows: 1, numWaiting: 0, generation: 2 });
  const { hits } = await router.search({ catalogue: 'shop', vector: all[0]!, k: 100 });
  expect(hits.map(({ id }) => id).sort()).toEqual((await items()).map(({ id }) => id).sort());
});
