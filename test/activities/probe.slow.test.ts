import { expect, it, onTestFinished } from 'vitest';
import { probeEndpoints } from '../../activities/probe.ts';
import { createHostClient } from '../../infra/data-plane/host-client.ts';
import { publishIndex } from '../../infra/shards/index.ts';
import { TOKEN, buildShards, openTestStores, publishData, startHost, tableOf } from '../infra/router/cluster.ts';

it('a probe accepts a shard that holds no item, as the second one of a single item, once it is loaded', async () => {
  const stores = await openTestStores();
  const data = await publishData(stores, 'item', 1, 1);
  const shards = await buildShards(stores, data, 2);
  expect(shards.map(({ manifest }) => manifest.summary['size']).toSorted()).toEqual([0, 1]);
  const ids = shards.map(({ id }) => id);
  const spec = { kind: 'exact', metric: 'cosine' } as const;
  const index = await publishIndex({ stores, ...data, model: 'model-test', spec, shards: ids, minIndexRecall: 1 });
  const [host, client] = [await startHost(stores), createHostClient(TOKEN)];
  onTestFinished(async () => {
    await client.close();
    await host.close();
    await stores.close();
  });
  const probe = () =>
    probeEndpoints({
      ...{ client, stores, endpoints: tableOf(1, shards, [host]).endpoints, index: index.artifact.id },
      ...{ numShards: 2, signal: new AbortController().signal },
    });
  const full = shards.findIndex(({ manifest }) => manifest.summary['size'] === 1);
  await host.loadShard(ids[full]!);
  await expect(probe()).rejects.toMatchObject({ name: 'LookalikeError' });
  await host.loadShard(ids[1 - full]!);
  await expect(probe()).resolves.toBeUndefined();
});
