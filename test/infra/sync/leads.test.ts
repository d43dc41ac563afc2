import { afterEach, expect, it } from 'vitest';
import { deriveRunKeys } from '../../../infra/sync/curve-keys.ts';
import { packState } from '../../../infra/sync/frame-parts.ts';
import { ShardLink } from '../../../infra/sync/shard-link.ts';
import type { Cluster } from './cluster.ts';
import { RUN, seedOf, startCluster, TOKEN } from './cluster.ts';

const LENGTH = 10;
const NEWEST = 7;

let clusters: Cluster[] = [];
afterEach(() => Promise.all(clusters.map((cluster) => cluster.close())));

async function seedAs(incarnation: number, url: string): Promise<void> {
  const link = new ShardLink({
    shard: 0,
    keys: deriveRunKeys(TOKEN, RUN),
    locate: async () => url,
    maxMessageBytes: 1e6,
    attemptMs: 1_000,
    silenceMs: 10_000,
    slowestBytesPerSecond: 1e6,
    onTraffic: () => undefined,
  });
  await link.ask({ type: 'seed', incarnation, numValues: LENGTH }, packState(seedOf(LENGTH)));
  link.close();
}

it('start different incarnations when they see the same newest one, as two that take over at once do', async () => {
  clusters = await Promise.all(Array.from({ length: 3 }, () => startCluster({ length: LENGTH, numShards: 1 })));
  const started = await Promise.all(
    clusters.map(async (cluster, i) => {
      await seedAs(NEWEST, cluster.urls[0]!);
      const lead = cluster.connect();
      await lead.seed(seedOf(LENGTH, i));
      return cluster.servers[0]!.status().incarnation;
    }),
  );
  expect(Math.min(...started)).toBeGreaterThan(NEWEST);
  expect(new Set(started).size).toBeGreaterThan(1);
});
