import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import { routerSearcher } from '../../api/search/router-searcher.ts';
import type { SearchAnswer } from '../../contracts/serving.ts';
import type { SearchHost } from '../../infra/data-plane/index.ts';
import {
  buildShards,
  createTestRouter,
  openTestStores,
  publishData,
  startHost,
  tableOf,
} from '../infra/router/cluster.ts';
import type { Data } from '../infra/router/cluster.ts';
import { World } from './fakes.ts';

const NUM_ITEMS = 400;

/** Brute force by cosine, in the API's own order. */
function nearest(data: Data, query: Float32Array, keep: (id: string) => boolean, k: number): string[] {
  const cosine = (a: Float32Array): number =>
    a.reduce((sum, x, i) => sum + x * query[i]!, 0) / (Math.hypot(...a) * Math.hypot(...query));
  return [...data.vectorOf]
    .filter(([id]) => keep(id))
    .map(([id, vector]) => ({ id, score: cosine(vector) }))
    .sort((a, b) => b.score - a.score)
    .slice(0, k)
    .map(({ id }) => id);
}

describe('the API over the real router and real index hosts', () => {
  let stores: Awaited<ReturnType<typeof openTestStores>>;
  let data: Data;
  let hosts: SearchHost[];
  let routing: ReturnType<typeof createTestRouter>;
  let app: NestFastifyApplication;
  const deleted = (id: string): boolean => Number(id.slice(-4)) % 7 === 0;

  beforeAll(async () => {
    stores = await openTestStores();
    data = await publishData(stores, 'item', NUM_ITEMS, 1);
    const shards = await buildShards(stores, data, 2);
    hosts = [await startHost(stores), await startHost(stores)];
    // Each host holds one shard: losing one loses half of the answer.
    for (const [i, host] of hosts.entries()) await host.loadShard(shards[i]!.id);
    const table = tableOf(1, shards, hosts);
    table.endpoints = table.endpoints.filter(({ shard, replica }) => shard === replica);
    routing = createTestRouter(table);
    const world = new World();
    for (const id of data.vectorOf.keys()) {
      const category = Number(id.slice(-4)) % 2 === 0 ? 'even' : 'odd';
      if (!deleted(id)) world.add({ id, vector: null, category });
    }
    app = await createApp(world.ports({ searcher: routerSearcher(routing.router) }), { auth: 'off' });
  });
  afterAll(async () => {
    await app.close();
    await routing.router.close();
    await Promise.all(hosts.map((host) => host.close()));
    await stores.close();
  });

  const post = (payload: object) => app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
  async function search(payload: object): Promise<{ answer: SearchAnswer; ids: string[] }> {
    const response = await post(payload);
    expect(response.statusCode, response.body).toBe(200);
    const answer = response.json<SearchAnswer>();
    return { answer, ids: answer.hits.map(({ id }) => id) };
  }

  it.each([1, 10, 60])('finds the %i nearest that still exist, as brute force does', async (k) => {
    const query = data.vectorOf.get('item0003')!;
    const { answer, ids } = await search({ vector: [...query], k });
    expect(ids).toEqual(nearest(data, query, (id) => !deleted(id), k));
    expect(answer.coverage).toEqual({ shardsAsked: 2, shardsAnswered: 2 });
  });

  it('finds by item within a category, without the item', async () => {
    const query = data.vectorOf.get('item0004')!;
    const isKept = (id: string): boolean => !deleted(id) && id !== 'item0004' && Number(id.slice(-4)) % 2 === 0;
    const { ids } = await search({ itemId: 'item0004', k: 20, category: 'even' });
    expect(ids).toEqual(nearest(data, query, isKept, 20));
  });

  it('pages through everything, and through the best of each price group, as brute force does', async () => {
    const query = data.vectorOf.get('item0003')!;
    for (const groupBy of [undefined, 'category']) {
      const all = nearest(data, query, (id) => !deleted(id), NUM_ITEMS);
      const parity = (id: string): number => Number(id.slice(-4)) % 2;
      const expected =
        groupBy === undefined
          ? all
          : all.filter((id, i) => all.findIndex((other) => parity(other) === parity(id)) === i);
      const found: string[] = [];
      let cursor: string | null | undefined;
      while (cursor !== null) {
        const { answer, ids } = await search({
          vector: [...query],
          k: groupBy === undefined ? 60 : 1,
          groupBy,
          cursor,
        });
        found.push(...ids);
        cursor = answer.nextCursor;
      }
      expect(found).toEqual(expected);
    }
  });

  it('says 400 for a vector of another length', async () => {
    expect((await post({ vector: [1, 2, 3] })).json()).toMatchObject({ status: 400, code: 'dimensionMismatch' });
  });

  it('refuses half an answer unless half an answer is asked for', async () => {
    await hosts[1]!.close();
    const vector = [...data.vectorOf.get('item0003')!];
    const refused = await post({ vector });
    expect([refused.statusCode, refused.json()]).toMatchObject([503, { code: 'unavailable' }]);
    const { answer } = await search({ vector, allowPartial: true });
    expect(answer.coverage).toEqual({ shardsAsked: 2, shardsAnswered: 1 });
    expect((await app.inject('/health/ready')).json()).toMatchObject({ status: 'degraded', serving: { partly: 1 } });
  });
});
