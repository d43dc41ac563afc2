import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Artifact } from '../../../contracts/artifacts.ts';
import type { SearchHost } from '../../../infra/data-plane/index.ts';
import type { ShardStores } from '../../../infra/shards/load-shard.ts';
import { prepared } from '../../../lib/ann/vectors.ts';
import { buildShards, createTestRouter, DIM, openTestStores, publishData, startHost, tableOf } from './cluster.ts';
import type { Data } from './cluster.ts';

let stores: ShardStores & { close(): Promise<void> };
let a: Data;
let b: Data;
let shardsA: Artifact[];
let shardsB: Artifact[];

async function hostsOf(count: number, shards: Artifact[]): Promise<SearchHost[]> {
  const hosts = await Promise.all(Array.from({ length: count }, () => startHost(stores)));
  await Promise.all(hosts.flatMap((host) => shards.map((shard) => host.loadShard(shard.id))));
  return hosts;
}

/** Brute force in the plainest words: the oracle. */
function nearest(data: Data, query: Float32Array, k: number): string[] {
  const q = prepared(query, 'cosine');
  const dot = (x: Float32Array): number => prepared(x, 'cosine').reduce((sum, value, i) => sum + value * q[i]!, 0);
  const scored = [...data.vectorOf].map(([id, vector]) => ({ id, score: dot(vector) }));
  return scored
    .sort((x, y) => y.score - x.score)
    .slice(0, k)
    .map(({ id }) => id);
}

beforeAll(async () => {
  stores = await openTestStores();
  a = await publishData(stores, 'a', 300, 1);
  b = await publishData(stores, 'b', 300, 2);
  shardsA = await buildShards(stores, a, 3);
  shardsB = await buildShards(stores, b, 2, {
    kind: 'hnsw',
    metric: 'cosine',
    m: 8,
    efConstruction: 50,
    efSearch: 50,
    seed: 1,
  });
});
afterAll(() => stores.close());

describe('router', () => {
  it('gives the same answer as brute force over all shards', async () => {
    const hosts = await hostsOf(1, shardsA);
    const { router } = createTestRouter(tableOf(1, shardsA, hosts));
    for (const vector of [...a.vectorOf.values()].slice(0, 20)) {
      const { hits, coverage } = await router.search({ catalogue: 'shop', vector, k: 10 });
      expect(hits.map(({ id }) => id)).toEqual(nearest(a, vector, 10));
      expect(coverage).toEqual({ shardsAsked: 3, shardsAnswered: 3 });
    }
    const vector = a.vectorOf.get('a0003')!;
    const all = await router.search({ catalogue: 'shop', vector, k: 10_000 });
    expect(all.hits.map(({ id }) => id).sort()).toEqual([...a.vectorOf.keys()].sort());
    const odd = await router.search({ catalogue: 'shop', vector, k: 10_000, category: 'odd' });
    expect(odd.hits.length).toBe([...a.vectorOf.keys()].filter((id) => Number(id.slice(1)) % 2 === 1).length);
    const filter = { price: { gte: 10, lt: 60 }, colours: 'red' };
    const some = await router.search({ catalogue: 'shop', vector, k: 5, category: 'even', filter });
    const isWanted = (id: string): boolean =>
      Number(id.slice(1)) % 4 === 0 && Number(id.slice(1)) >= 10 && Number(id.slice(1)) < 60;
    expect(some.hits).toEqual(all.hits.filter(({ id }) => isWanted(id)).slice(0, 5));
    expect(some.hits).toHaveLength(5);
    expect((await router.search({ catalogue: 'shop', vector, k: 5, filter: { maker: 'x' } })).hits).toEqual([]);
    const counted = await router.search({
      ...{ catalogue: 'shop', vector, k: 1, category: 'even', filter },
      ...{ facets: ['category', 'colours', 'price', 'nothing'], facetSize: 2 },
    });
    const numWanted = all.hits.filter(({ id }) => isWanted(id)).length;
    expect(counted.facets).toEqual([
      { name: 'category', values: [{ value: 'even', count: numWanted }], maxError: 0 },
      { name: 'colours', values: ['blue', 'red'].map((value) => ({ value, count: numWanted })), maxError: 0 },
      { name: 'price', values: ['12', '16'].map((value) => ({ value, count: 1 })), maxError: 0 },
      { name: 'nothing', values: [], maxError: 0 },
    ]);
    const near = await router.search({ catalogue: 'shop', vector, k: 10_000, minScore: 0.9 });
    expect(near.hits).toEqual(all.hits.filter(({ score }) => score >= 0.9));
    const table = await router.currentTable('shop');
    const several = await router.vectorsOf(table, ['a0003', 'a0004', 'a0049', 'nothing', 'a0005']);
    expect([...several.keys()].sort()).toEqual(['a0003', 'a0004', 'a0005']);
    for (const [id, each] of several) expect(each).toEqual(prepared(a.vectorOf.get(id)!, 'cosine'));
    const behind = await router.search({ catalogue: 'shop', vector, k: 20, exact: true, background: true });
    expect(behind.hits).toEqual(all.hits.slice(0, 20));
    expect(behind.shards.every(({ isHedged }) => isHedged === false)).toBe(true);
    const stored = await router.vectorOf('shop', 'a0003');
    expect(stored.vector).toEqual(prepared(vector, 'cosine'));
    await expect(router.vectorOf('shop', 'a0049')).rejects.toMatchObject({ code: 'notFound' });
    await router.close();
    await Promise.all(hosts.map((host) => host.close()));
  });

  it('tells the shards how hard to look', async () => {
    const spec = { kind: 'ivf', metric: 'cosine', numLists: 10, nprobe: 1, rescore: 0, seed: 1 } as const;
    const shards = await buildShards(stores, a, 2, { ...spec, codes: { kind: 'flat' } });
    const hosts = await hostsOf(1, shards);
    const { router } = createTestRouter(tableOf(1, shards, hosts));
    const found = { few: 0, all: 0 };
    for (const vector of [...a.vectorOf.values()].slice(0, 20)) {
      const expected = new Set(nearest(a, vector, 10));
      const count = async (nprobe?: number): Promise<number> =>
        (await router.search({ catalogue: 'shop', vector, k: 10, nprobe })).hits.filter(({ id }) => expected.has(id))
          .length;
      found.few += await count();
      found.all += await count(10);
    }
    const codes = { kind: 'pq', m: 2, bits: 4, opq: false } as const;
    const coarse = await buildShards(stores, a, 1, { ...spec, nprobe: 10, codes });
    await hosts[0]!.loadShard(coarse[0]!.id);
    const other = createTestRouter(tableOf(2, coarse, hosts));
    const asked = { catalogue: 'shop', vector: a.vectorOf.get('a0001')!, k: 50 };
    const byCodes = await other.router.search(asked);
    const exactly = await other.router.search({ ...asked, exactScores: true });
    const truth = new Map(
      (await other.router.search({ ...asked, k: 300, exact: true })).hits.map((hit) => [hit.id, hit.score]),
    );
    expect(exactly.hits.every(({ id, score }) => score === truth.get(id))).toBe(true);
    expect(byCodes.hits.every(({ id, score }) => score === truth.get(id))).toBe(false);
    await other.router.close();
    expect(found.all).toBe(200);
    expect(found.few).toBeLessThan(200);
    const query = { catalogue: 'shop', vector: new Float32Array(DIM).fill(1), k: 1 };
    await expect(router.search({ ...query, nprobe: 0 })).rejects.toMatchObject({ code: 'invalidInput' });
    await router.close();
    await Promise.all(hosts.map((host) => host.close()));
  });

  it('fails no query when one of two replicas dies in the middle', async () => {
    const hosts = await hostsOf(2, shardsA);
    const { router } = createTestRouter(tableOf(1, shardsA, hosts));
    const queries = [...a.vectorOf.values()];
    let answered = 0;
    const ask = async (): Promise<void> => {
      for (let i = 0; i < 60; i++) {
        const { hits } = await router.search({ catalogue: 'shop', vector: queries[i]!, k: 5 });
        expect(hits.map(({ id }) => id)).toEqual(nearest(a, queries[i]!, 5));
        if (++answered === 100) await hosts[0]!.close();
      }
    };
    await Promise.all(Array.from({ length: 6 }, ask));
    expect(answered).toBe(360);
    expect(() => hosts[0]!.load()).toThrow('closed');
    await router.close();
    await hosts[1]!.close();
  });

  it('answers every query from one whole generation while generations switch', async () => {
    const hosts = await hostsOf(2, [...shardsA, ...shardsB]);
    const { router, serve } = createTestRouter(tableOf(1, shardsA, hosts));
    const queries = [...a.vectorOf.values()];
    const seen = { a: 0, b: 0 };
    let switched = false;
    const ask = async (): Promise<void> => {
      for (let i = 0; seen.b < 50; i = (i + 1) % queries.length) {
        const { hits, table } = await router.search({ catalogue: 'shop', vector: queries[i]!, k: 5 });
        const prefix = table.generation === 1 ? 'a' : 'b';
        expect(hits).toHaveLength(5);
        expect(hits.every(({ id }) => id.startsWith(prefix))).toBe(true);
        seen[prefix]++;
        if (seen.a >= 50 && !switched) {
          switched = true;
          serve(tableOf(2, shardsB, hosts));
          await Promise.all(hosts.flatMap((host) => shardsA.map(({ id }) => host.unloadShard(id))));
        }
      }
    };
    await Promise.all(Array.from({ length: 4 }, ask));
    expect(seen.a).toBeGreaterThanOrEqual(50);
    await router.close();
    await Promise.all(hosts.map((host) => host.close()));
  });

  it('answers past a host that accepts connections and never speaks', async () => {
    const hung = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => hung.once('listening', resolve));
    const silent = { url: `http://127.0.0.1:${(hung.address() as AddressInfo).port}` };
    const hosts = await hostsOf(1, shardsA);
    const { router } = createTestRouter(tableOf(1, shardsA, [silent, ...hosts]));
    for (const vector of [...a.vectorOf.values()].slice(0, 10)) {
      const { hits } = await router.search({ catalogue: 'shop', vector, k: 5 });
      expect(hits.map(({ id }) => id)).toEqual(nearest(a, vector, 5));
    }
    const alone = createTestRouter(tableOf(1, shardsA, [silent]));
    const vector = a.vectorOf.get('a0001')!;
    const late = alone.router.search({ catalogue: 'shop', vector, k: 5, deadlineMs: 100 });
    await expect(late).rejects.toMatchObject({ code: 'timeout' });
    await Promise.all([router.close(), alone.router.close(), ...hosts.map((host) => host.close())]);
    hung.close();
  });

  it('explains what each shard did, which replica answered, and which was raced or never answered', async () => {
    const hung = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => hung.once('listening', resolve));
    const silent = { url: `http://127.0.0.1:${(hung.address() as AddressInfo).port}` };
    const hosts = await hostsOf(1, shardsB.slice(0, 1));
    const query = { catalogue: 'shop', vector: b.vectorOf.get('b0001')!, k: 5, allowPartial: true };
    let raced = false;
    // Which of two unknown replicas is asked first is a coin.
    for (let i = 0; i < 12 && !raced; i++) {
      const { router } = createTestRouter(tableOf(2, shardsB, [silent, ...hosts]));
      const { shards } = await router.search({ ...query, explain: true, deadlineMs: 400 });
      const size = shardsB[0]!.manifest.summary['size'];
      expect(shards[0]).toMatchObject({ shard: 0, answered: true, replica: 1, host: hosts[0]!.url, numRows: size });
      expect(shards[0]).toMatchObject({ spec: { kind: 'hnsw', m: 8 }, plan: expect.any(String) as string });
      expect(shards[0]!.ms).toBeGreaterThanOrEqual(shards[0]!.searchMs!);
      expect(shards[1]).toMatchObject({ shard: 1, answered: false, replica: null, failure: 'unavailable' });
      raced ||= shards[0]!.isHedged === true && shards[0]!.numAsked === 2;
      expect((await router.search({ ...query, deadlineMs: 400 })).shards[0]).not.toHaveProperty('spec');
      await router.close();
    }
    expect(raced).toBe(true);
    await hosts[0]!.close();
    hung.close();
  });

  it('refuses a missing shard unless a part will do, and says which part it is', async () => {
    const hosts = await hostsOf(1, shardsA.slice(0, 2));
    const { router } = createTestRouter(tableOf(1, shardsA, hosts));
    const query = { catalogue: 'shop', vector: a.vectorOf.get('a0001')!, k: 300 };
    await expect(router.search(query)).rejects.toMatchObject({ code: 'unavailable' });
    const { coverage, hits } = await router.search({ ...query, allowPartial: true });
    expect(coverage).toEqual({ shardsAsked: 3, shardsAnswered: 2 });
    expect(hits.length).toBeGreaterThan(0);
    await router.close();
    await hosts[0]!.close();
  });

  it('keeps serving the last table while the registry is down, and says so when it never answered', async () => {
    const hosts = await hostsOf(1, shardsA);
    const { router, fail } = createTestRouter(tableOf(1, shardsA, hosts));
    const query = { catalogue: 'shop', vector: a.vectorOf.get('a0001')!, k: 1 };
    await router.search(query);
    fail(true);
    expect((await router.search(query)).hits[0]!.id).toBe('a0001');
    const blind = createTestRouter(undefined);
    await expect(blind.router.currentTable('shop')).rejects.toMatchObject({ code: 'notFound' });
    blind.fail(true);
    await expect(blind.router.currentTable('shop')).rejects.toMatchObject({ code: 'unavailable' });
    await Promise.all([router.close(), blind.router.close(), hosts[0]!.close()]);
  });

  it.each([
    ['a wrong length', new Float32Array(DIM + 1), 'dimensionMismatch'],
    ['NaN', new Float32Array(DIM).fill(NaN), 'nonFinite'],
  ])('refuses a query of %s', async (_, vector, code) => {
    const { router } = createTestRouter(tableOf(1, shardsA, [{ url: 'http://127.0.0.1:1' }]));
    await expect(router.search({ catalogue: 'shop', vector, k: 1 })).rejects.toMatchObject({ code });
    await router.close();
  });
});
