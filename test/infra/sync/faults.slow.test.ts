import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ParameterClient } from '../../../lib/sync/protocol.ts';
import type { Cluster } from './cluster.ts';
import { bitsOf, pushOf, seedOf, SHARED, startCluster, train, trainInMemory } from './cluster.ts';
import { startTcpProxy } from './tcp-proxy.ts';
import type { TcpProxy } from './tcp-proxy.ts';

/** Enough that a push is many TCP segments. */
const LENGTH = 60_000;
/** What a client waits for before it asks again. */
const ATTEMPT_MS = 150;

let cluster: Cluster;
let proxies: TcpProxy[];
let client: ParameterClient;

beforeEach(async () => {
  cluster = await startCluster({ length: LENGTH, numShards: 2, holdMs: 50 });
  proxies = await Promise.all(cluster.urls.map(startTcpProxy));
  proxies.forEach(({ url }, shard) => (cluster.urls[shard] = url));
  client = cluster.connect({ attemptMs: ATTEMPT_MS, silenceMs: 5_000, slowestBytesPerSecond: 1e9 });
  await client.seed(seedOf(LENGTH));
});
afterEach(async () => {
  await cluster.close();
  await Promise.all(proxies.map((proxy) => proxy.close()));
});

async function expectTrained(by: ParameterClient, numSteps: number): Promise<void> {
  const { values } = await by.pull({ step: numSteps });
  expect(bitsOf(values)).toBe(bitsOf(await trainInMemory(LENGTH, numSteps)));
}

const numDuplicates = async (): Promise<number> =>
  (await client.status()).reduce((sum, { statistics }) => sum + statistics.numDuplicates, 0);

describe('a client of parameter shards', () => {
  it('gets the same result over connections that are cut', async () => {
    for (let step = 0; step < 4; step++) {
      const done = train(client, step, step + 1);
      void proxies[step % 2]!.cut();
      await proxies[1 - (step % 2)]!.cut(70_000);
      await done;
    }
    await expectTrained(client, 4);
  });

  it.each(['up', 'down'] as const)(
    'gets the same result past bits that are turned on the way %s',
    async (direction) => {
      for (let step = 0; step < 3; step++) {
        proxies[step % 2]!.damageNext(direction);
        await train(client, step, step + 1);
      }
      await expectTrained(client, 3);
    },
  );

  it('sends again what is not answered, which has no second effect', async () => {
    await train(client, 0, 1);
    await client.pull({ step: 1 });
    const asked = cluster.servers.map((server) => server.counts().requests);
    for (const proxy of proxies) proxy.hold('down');
    const done = client.push(pushOf(LENGTH, 1));
    // Shards have the gradient; that they say so is held back until they were asked again, and then comes twice.
    await vi.waitFor(() => {
      expect(cluster.servers.every((server, i) => server.counts().requests >= asked[i]! + 2)).toBe(true);
    });
    for (const proxy of proxies) proxy.release();
    expect(['accepted', 'duplicate']).toContain(await done);
    await expectTrained(client, 2);
    for (const proxy of proxies) {
      proxy.hold('down');
      void proxy.cut();
    }
    const again = client.push(pushOf(LENGTH, 2));
    await vi.waitFor(async () => {
      for (const proxy of proxies) proxy.release();
      expect(await Promise.race([again, Promise.resolve('waiting')])).not.toBe('waiting');
    });
    await expectTrained(client, 3);
  });

  it('gets the same result over a way that is slow', async () => {
    for (const proxy of proxies) proxy.delay(0.6 * ATTEMPT_MS);
    await train(client, 0, 1);
    expect(await numDuplicates()).toBeGreaterThan(0);
    await expectTrained(client, 1);
  });

  it('reports a shard that stays silent, and goes on when it speaks again', async () => {
    const hasty = cluster.connect({ attemptMs: 50, silenceMs: 300, slowestBytesPerSecond: 1e9 });
    await hasty.status();
    proxies[1]!.hold('up');
    await expect(hasty.push(pushOf(LENGTH, 0))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('parameter shard 1') as string,
    });
    proxies[1]!.release();
    await hasty.push(pushOf(LENGTH, 0));
    await expectTrained(hasty, 1);
  });

  it('hears from a shard that was started elsewhere that it has no state, and can seed it', async () => {
    await train(client, 0, 2);
    const state = await client.snapshot(2);
    const refused = expect(client.pull({ step: 3 })).rejects.toMatchObject({ code: 'conflict' });
    await cluster.replace(1);
    await refused;
    await expect(client.push(pushOf(LENGTH, 2))).rejects.toMatchObject({ code: 'conflict' });
    expect((await client.status()).map(({ incarnation }) => incarnation > 0)).toEqual([true, false]);
    await client.seed(state);
    await train(client, 2, 4);
    await expectTrained(client, 4);
  });

  it('waits for a shard that is still to be announced', async () => {
    const known = [{ shard: 0, url: cluster.urls[0]! }];
    const early = cluster.connect({ endpoints: async () => known });
    const states = early.status();
    known.push({ shard: 1, url: cluster.urls[1]! });
    expect(await states).toHaveLength(2);
  });

  it('that dies in the middle of a push leaves the shards to the others', async () => {
    const mortal = cluster.connect();
    await mortal.status();
    const cut = proxies[0]!.cut(70_000);
    const lost = expect(mortal.push(pushOf(LENGTH, 0))).rejects.toMatchObject({ code: 'cancelled' });
    await cut;
    await mortal.close();
    await lost;
    await train(client, 0, 2);
    await expectTrained(client, 2);
  });
});

describe('the oracle of these tests', () => {
  it('notices a gradient that counts twice', async () => {
    const twice = { ...SHARED, numSlices: 2 };
    expect(bitsOf(await trainInMemory(100, 2, twice))).not.toBe(bitsOf(await trainInMemory(100, 2)));
  });
});
