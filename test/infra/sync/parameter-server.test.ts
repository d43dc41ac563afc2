import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Cluster } from './cluster.ts';
import { pushOf, seedOf, SHARED, startCluster, train, trainInMemory } from './cluster.ts';

const hasIpv6 = (): boolean =>
  Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

let cluster: Cluster;
afterEach(() => cluster.close());

describe('parameters behind sockets', () => {
  it.each([
    ['one shard', 1, 1],
    ['three shards', 3, 1],
    ['three shards and four slices', 3, 4],
  ])('are trained bit for bit as in memory: %s', async (_, numShards, numSlices) => {
    const shared = { ...SHARED, numSlices };
    cluster = await startCluster({ length: 100, numShards, shared });
    const clients = Array.from({ length: numSlices }, () => cluster.connect());
    await clients[0]!.seed(seedOf(100));
    await Promise.all(clients.map((client) => client.status()));
    await Promise.all(clients.map((client, slice) => train(client, 0, 5, slice)));
    const { version, values } = await clients[0]!.pull({ step: 5 });
    expect(version).toBe(5);
    expect(values).toEqual(await trainInMemory(100, 5, shared));
  });

  const hosts = ['localhost', ...(hasIpv6() ? ['::1'] : [])];
  it.each(hosts)('answer at %s', async (host) => {
    cluster = await startCluster({ host });
    expect(await cluster.connect().status()).toHaveLength(2);
  });

  it('let a slice wait for another one, however long that takes', async () => {
    cluster = await startCluster({ shared: { numSlices: 2 }, holdMs: 20 });
    const [a, b] = [cluster.connect({ silenceMs: 500 }), cluster.connect()];
    await a.seed(seedOf(100));
    await b.status();
    await train(a, 0, 1, 0);
    const waiting = a.pull({ step: 1 });
    const asked = cluster.servers[0]!.counts().requests;
    await vi.waitFor(() => expect(cluster.servers[0]!.counts().requests).toBeGreaterThan(asked + 30), 10_000);
    await train(b, 0, 1, 1);
    expect(await waiting).toMatchObject({ version: 1 });
    // Longer than a silent shard would have been waited for.
    expect(a.traffic().waitSeconds).toBeGreaterThan(0.5);
  });

  it('give back the state that they were seeded with, and that of a checkpoint in the past', async () => {
    cluster = await startCluster({ length: 100, numShards: 3 });
    const client = cluster.connect();
    const seed = { ...seedOf(100, 7), secondMoments: new Float32Array(100).fill(0.5) };
    await client.seed(seed);
    expect(await client.snapshot(7)).toEqual(seed);
    const later = client.snapshot(8);
    await train(client, 7, 9);
    expect((await later).step).toBe(8);
    expect(await client.snapshot(8)).toEqual(await later);
    expect((await client.snapshot(9)).values).toEqual((await client.pull({ step: 9 })).values);
    await expect(client.snapshot(7)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('say what they hold', async () => {
    cluster = await startCluster();
    const client = cluster.connect();
    expect(await client.status()).toMatchObject([{ incarnation: 0 }, { incarnation: 0, statistics: { step: 0 } }]);
    await client.seed(seedOf(100));
    await train(client, 0, 3);
    expect(await client.push(pushOf(100, 2, 0, 2))).toBe('duplicate');
    const [first, second] = await client.status();
    expect(first!.incarnation).toBeGreaterThan(0);
    expect(second!.incarnation).toBe(first!.incarnation);
    expect(first!.statistics).toMatchObject({ step: 3, numPushes: 3, numDuplicates: 1, nextStepBySlice: [3] });
  });

  it('refuse everybody before a seed, and every earlier incarnation after another one', async () => {
    cluster = await startCluster();
    const [old, next] = [cluster.connect(), cluster.connect()];
    await expect(old.pull({ step: 0 })).rejects.toMatchObject({ code: 'conflict' });
    await old.seed(seedOf(100));
    const waiting = old.pull({ step: 1 });
    const refused = expect(waiting).rejects.toMatchObject({ code: 'conflict' });
    await next.seed(seedOf(100, 4));
    await refused;
    await expect(old.pull({ step: 4 })).rejects.toMatchObject({ code: 'conflict' });
    await expect(old.push(pushOf(100, 4))).rejects.toMatchObject({ code: 'conflict' });
    await expect(old.snapshot(4)).rejects.toMatchObject({ code: 'conflict' });
    expect(await next.push(pushOf(100, 4))).toBe('accepted');
    await old.status();
    expect(await old.pull({ step: 5 })).toMatchObject({ version: 5 });
  });

  it('refuse a gradient that is not finite, and go on', async () => {
    cluster = await startCluster();
    const client = cluster.connect();
    await client.seed(seedOf(100));
    const broken = pushOf(100, 0);
    broken.gradient[99] = NaN;
    await expect(client.push(broken)).rejects.toMatchObject({ code: 'nonFinite' });
    expect(await client.push(pushOf(100, 0))).toBe('accepted');
  });

  it('stop answering a client that calls a request off, and only that', async () => {
    cluster = await startCluster();
    const client = cluster.connect();
    await client.seed(seedOf(100));
    const stop = new AbortController();
    const waiting = client.pull({ step: 1, signal: stop.signal });
    const refused = expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    stop.abort();
    await refused;
    await expect(client.pull({ step: 0, signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
    expect(await client.pull({ step: 0 })).toMatchObject({ version: 0 });
  });

  it('leave no port open', async () => {
    cluster = await startCluster();
    const client = cluster.connect();
    await client.status();
    const { url } = cluster.servers[0]!;
    await cluster.close();
    const port = Number(new URL(url).port);
    await vi.waitFor(async () => {
      await expect(once(connect(port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    });
  });
});

describe('bytes on the wire', () => {
  it('are the numbers, and 64 bytes for each frame', async () => {
    const length = 10_000;
    cluster = await startCluster({ length, numShards: 2 });
    const client = cluster.connect();
    await client.seed(seedOf(length));
    const before = client.traffic();
    await train(client, 0, 10);
    const after = client.traffic();
    const frames = 2 * 2 * 10 * 64;
    expect(after.sentBytes - before.sentBytes).toBe(10 * 4 * length + frames);
    expect(after.receivedBytes - before.receivedBytes).toBe(10 * 4 * length + frames);
  });

  it.each([
    ['fp16', { kind: 'fp16' }, 2],
    ['topK', { kind: 'topK', share: 0.05 }, 0.4],
    ['oneBit', { kind: 'oneBit' }, 1 / 8],
  ] as const)('are fewer with %s', async (_, compression, bytesPerValue) => {
    const length = 10_000;
    cluster = await startCluster({ length, numShards: 2 });
    const client = cluster.connect({ compression });
    await client.seed(seedOf(length));
    await client.pull({ step: 0 });
    const before = client.traffic().sentBytes;
    expect(await client.push(pushOf(length, 0))).toBe('accepted');
    const sent = client.traffic().sentBytes - before;
    expect(sent / length).toBeLessThan(bytesPerValue + 0.05);
    expect(sent / length).toBeGreaterThan(bytesPerValue);
    // What was left out of a repeated push is not left out twice: its bytes are the same.
    expect(await client.push(pushOf(length, 0))).toBe('duplicate');
    expect((await client.pull({ step: 1 })).values.every(Number.isFinite)).toBe(true);
  });
});
