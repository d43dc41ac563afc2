import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Router } from 'zeromq';
import type { ParameterClientOptions } from '../../../infra/sync/parameter-client.ts';
import type { Cluster } from './cluster.ts';
import { seedOf, startCluster } from './cluster.ts';

const LENGTH = 10;
const HASTY = { attemptMs: 30, silenceMs: 300 };

const started: Cluster[] = [];
const start = async (): Promise<Cluster> => {
  const cluster = await startCluster({ length: LENGTH, numShards: 1, shared: { numSlices: 2 }, holdMs: 10 });
  started.push(cluster);
  return cluster;
};

let cluster: Cluster;
beforeEach(async () => {
  cluster = await start();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(started.splice(0).map((each) => each.close()));
});

describe('a client of parameter shards', () => {
  it('leaves a shard that answers "not yet" for ever when another one is announced in its place', async () => {
    const client = cluster.connect({ attemptMs: 50 });
    await client.seed(seedOf(LENGTH));
    // The other slice never comes here.
    const refused = expect(client.pull({ step: 1 })).rejects.toMatchObject({ code: 'conflict' });
    const { requests } = cluster.servers[0]!.counts();
    await vi.waitFor(() => expect(cluster.servers[0]!.counts().requests).toBeGreaterThan(requests + 5));
    const successor = await start();
    cluster.urls[0] = successor.urls[0]!;
    await refused;
    expect(successor.servers[0]!.counts().requests).toBeGreaterThan(0);
  });

  it('reports a shard that nobody announces', async () => {
    const client = cluster.connect({ ...HASTY, endpoints: async () => [] });
    await expect(client.status()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('nobody has announced') as string,
    });
  });

  it('keeps the address of a shard that is given up out of its error, and tells it the log', async () => {
    const warn = vi.fn();
    const logger = { warn } as unknown as ParameterClientOptions['logger'];
    await cluster.servers[0]!.close();
    const { host } = new URL(cluster.urls[0]!);
    const error: unknown = await cluster
      .connect({ ...HASTY, logger })
      .status()
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('parameter shard 0') as string,
    });
    expect(String(error)).not.toMatch(new RegExp(`tcp:|${host}`));
    expect(warn.mock.calls).toMatchObject([
      [{ shard: 0, url: expect.stringContaining(host) as string }, expect.anything()],
    ]);
  });

  it('says that it knows another secret, which nobody tries again', async () => {
    const stranger = cluster.connect({ ...HASTY, token: 'what another host was given' });
    const error: unknown = await stranger.status().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'unauthorized', retryable: false });
    expect(String(error)).toMatch(/give every trainer the same LOOKALIKE_DATA_PLANE_TOKEN/);
    expect(cluster.servers[0]!.counts()).toMatchObject({ requests: 0 });
  });

  it('goes on when a shard of another secret is replaced by one of its own', async () => {
    const right = cluster.urls[0]!;
    cluster.urls[0] = `${right}0`;
    let numLooks = 0;
    const endpoints = async (): Promise<{ shard: number; url: string }[]> => {
      if (++numLooks === 4) cluster.urls[0] = right;
      return [{ shard: 0, url: cluster.urls[0]! }];
    };
    expect(await cluster.connect({ endpoints }).status()).toHaveLength(1);
  });
});

describe('a parameter shard', () => {
  it('says that its socket has failed, so that it is started again', async () => {
    const { ended, url } = cluster.servers[0]!;
    const client = cluster.connect(HASTY);
    await client.status();
    vi.spyOn(Router.prototype, 'receive').mockRejectedValue(Object.assign(new Error(), { code: 'ENOTSOCK' }));
    // The receive that is under way is the socket's own.
    await client.status();
    expect(await ended).toMatchObject({ code: 'unavailable', message: expect.not.stringContaining(url) as string });
  });

  it('says that its doorkeeper has failed, as nobody else gets in', async () => {
    const receive = Reflect.get(Router.prototype, 'receive');
    vi.spyOn(Router.prototype, 'receive').mockImplementation(function (this: Router) {
      // Its doorkeeper's socket is none that must deliver.
      if (this.mandatory) return receive.call(this);
      return Promise.reject(Object.assign(new Error(), { code: 'ENOTSOCK' }));
    });
    const deaf = await start();
    expect(await deaf.servers[0]!.ended).toMatchObject({ code: 'unavailable' });
  });

  it('says that it was closed', async () => {
    const { ended } = cluster.servers[0]!;
    await cluster.close();
    expect(await ended).toBeNull();
  });
});
