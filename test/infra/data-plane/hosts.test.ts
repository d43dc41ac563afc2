import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataPlaneHost } from '../../../contracts/serving.ts';
import { createEmbedClient, startEmbedHost, startSearchHost } from '../../../infra/data-plane/index.ts';
import type { OnlineEmbedder, SearchHost } from '../../../infra/data-plane/index.ts';
import { encodeVector } from '../../../infra/data-plane/vector-base64.ts';
import type { ShardStores } from '../../../infra/shards/load-shard.ts';
import { buildShards, DIM, openTestStores, publishData, startHost, TOKEN } from '../router/cluster.ts';

let stores: ShardStores & { close(): Promise<void> };
let host: SearchHost;
let shard: string;

beforeAll(async () => {
  stores = await openTestStores();
  const data = await publishData(stores, 'item', 100, 5);
  shard = (await buildShards(stores, data, 1))[0]!.id;
  host = await startHost(stores);
  await host.loadShard(shard);
});
afterAll(async () => {
  await host.close();
  await stores.close();
});

const post = (path: string, body: string, token = TOKEN): Promise<Response> =>
  fetch(host.url + path, { method: 'POST', body, headers: { 'x-lookalike-token': token } });
const vector = encodeVector(new Float32Array(DIM).fill(1));

describe('a search host', () => {
  it.each([
    ['tells that its thread has died', true],
    ['says nothing of a thread that was closed', false],
  ])('%s', async (_, dies) => {
    const created = once(process, 'worker') as Promise<[Worker]>;
    const told: unknown[] = [];
    const config = { dataPlane: { host: '127.0.0.1', token: TOKEN } };
    const mortal = await startSearchHost({ config, stores, onDeath: (error) => told.push(error) });
    const [thread] = await created;
    if (dies) {
      await thread.terminate();
      await expect(mortal.loadShard(shard)).rejects.toMatchObject({ code: 'unavailable' });
    }
    await mortal.close();
    expect(told).toEqual(dies ? [expect.objectContaining({ code: 'unavailable' })] : []);
  });

  it.each([
    ['a wrong token', vector, 'wrong', 401, 'unauthorized'],
    ['malformed base64', '***', TOKEN, 400, 'invalidInput'],
    ['a wrong dimension', encodeVector(new Float32Array(3)), TOKEN, 400, 'dimensionMismatch'],
    ['NaN', encodeVector(new Float32Array(DIM).fill(NaN)), TOKEN, 400, 'nonFinite'],
  ])('refuses %s', async (_, text, token, status, code) => {
    const response = await post(`/shards/${shard}/search`, JSON.stringify({ vector: text, k: 1 }), token);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ code });
  });

  it.each([
    ['malformed JSON', '{', 400],
    ['an effort out of bounds', JSON.stringify({ vector, k: 1, nprobe: 0 }), 400],
    ['an unknown field', JSON.stringify({ vector, k: 1, kk: 2 }), 400],
    ['a body beyond the limit', JSON.stringify({ vector: 'A'.repeat(1 << 20), k: 1 }), 400],
  ])('refuses %s', async (_, body, status) => {
    expect((await post(`/shards/${shard}/search`, body)).status).toBe(status);
  });

  it('looks as hard as it is asked to, where the kind of the index knows how', async () => {
    const data = await publishData(stores, 'item', 300, 6);
    const ivf = { kind: 'ivf', metric: 'cosine', numLists: 12, codes: { kind: 'flat' }, rescore: 0, seed: 1 } as const;
    const lists = (await buildShards(stores, data, 1, { ...ivf, nprobe: 1 }))[0]!.id;
    await host.loadShard(lists);
    const hits = async (artifact: string, query: Float32Array, effort: object): Promise<unknown> => {
      const body = JSON.stringify({ vector: encodeVector(query), k: 10, ...effort });
      return ((await (await post(`/shards/${artifact}/search`, body)).json()) as { hits: unknown }).hits;
    };
    const queries = [...data.vectorOf.values()].slice(0, 10);
    const missed: boolean[] = [];
    for (const query of queries) {
      const all = await hits(lists, query, { exact: true });
      expect(await hits(lists, query, { nprobe: 12 })).toEqual(all);
      const few = await hits(lists, query, {});
      expect(await hits(lists, query, { efSearch: 500, probes: 9, checks: 9, rescore: 3 })).toEqual(few);
      missed.push(JSON.stringify(few) !== JSON.stringify(all));
    }
    expect(missed).toContain(true);
    const none = { efSearch: 1, nprobe: 1, probes: 1, checks: 1, rescore: 0 };
    expect(await hits(shard, queries[0]!, none)).toEqual(await hits(shard, queries[0]!, {}));
    await host.unloadShard(lists);
  });

  it('answers for shards it holds and refuses others, also after unloading', async () => {
    const body = JSON.stringify({ vector, k: 3 });
    const response = await post(`/shards/${shard}/search`, body);
    expect(await response.json()).toMatchObject({ artifact: shard, size: 98, hits: [{}, {}, {}] });
    expect(host.load()).toMatchObject({ inFlight: 0 });
    expect(host.load().queries).toBeGreaterThan(0);
    await host.unloadShard(shard);
    expect(host.loaded()).toEqual([]);
    expect((await post(`/shards/${shard}/search`, body)).status).toBe(404);
    await host.loadShard(shard);
    expect((await post(`/shards/${shard}/search`, body)).status).toBe(200);
    await expect(host.loadShard('shard-00000000000000000000000000000000')).rejects.toMatchObject({ code: 'notFound' });
  });
});

describe('the embed client', () => {
  const embedder: OnlineEmbedder = {
    embed: async (_model, [image], { crop }) =>
      image!.length === 0
        ? [{ rejected: 'Expected a picture, got no bytes.' }]
        : [
            {
              vectors: [Float32Array.of(image!.length, 0.5)],
              timingsMs: { queue: 1, decode: 2, infer: 3 },
              ...(crop?.unit === 'pixel' && { crop }),
            },
          ],
  };
  const config = { dataPlane: { host: '127.0.0.1', token: TOKEN } };
  const clientOf = (urls: string[]): ReturnType<typeof createEmbedClient> => {
    const hosts = urls.map((url, i): DataPlaneHost => ({ host: `h${i}`, kind: 'embed', url, taskQueue: 'q' }));
    return createEmbedClient({ routing: { hosts: async () => hosts }, token: TOKEN });
  };

  it('gets the vector of a picture past dead hosts, and hears why a picture is rejected', async () => {
    const live = await startEmbedHost({ config, embedder });
    const client = clientOf(['http://127.0.0.1:1', live.url]);
    for (let i = 0; i < 4; i++) {
      const { vector: found } = await client.embed('model-x', Buffer.alloc(7));
      expect(found).toEqual(Float32Array.of(7, 0.5));
    }
    await expect(client.embed('model-x', Buffer.alloc(0))).rejects.toMatchObject({ code: 'imageRejected' });
    await client.close();
    await live.close();
  });

  it('has a part of a picture embedded, and never takes the whole for it', async () => {
    const live = await startEmbedHost({ config, embedder });
    const client = clientOf([live.url]);
    const crop = { left: 1, top: 2, width: 3, height: 4.5, unit: 'pixel' } as const;
    const { crop: box } = await client.embed('model-x', Buffer.alloc(7), { crop });
    expect(box).toEqual({ left: 1, top: 2, width: 3, height: 4.5 });
    // A host that says nothing of the crop did not heed it.
    const ignored = client.embed('model-x', Buffer.alloc(7), { crop: { ...crop, unit: 'relative' } });
    await expect(ignored).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('older') as string,
    });
    const post = (query: string) =>
      fetch(`${live.url}/embed?model=m&crop=${query}`, {
        method: 'POST',
        body: 'x',
        headers: { 'x-lookalike-token': TOKEN },
      });
    for (const wrong of ['1,2,3', '1,2,3,4,inch', '1,2,x,4,pixel', 'Infinity,0,1,1,relative']) {
      expect((await post(wrong)).status, wrong).toBe(400);
    }
    await client.close();
    await live.close();
  });

  it('is told when the host is full and when there is none', async () => {
    const full = await startEmbedHost({ config, embedder, maxInFlight: 0 });
    const client = clientOf([full.url]);
    await expect(client.embed('model-x', Buffer.alloc(1))).rejects.toMatchObject({ code: 'overloaded' });
    const none = clientOf([]);
    await expect(none.embed('model-x', Buffer.alloc(1))).rejects.toMatchObject({ code: 'unavailable' });
    await Promise.all([client.close(), none.close(), full.close()]);
  });
});
