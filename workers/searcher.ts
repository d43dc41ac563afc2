import { createSearchHostActivities } from '../activities/search-host.ts';
import { searchQueue } from '../contracts/queues.ts';
import { startSearchHost } from '../infra/data-plane/search-host.ts';
import { runWorkerProcess } from './run.ts';

/** An index worker: a data-plane host, and the queue of its own on which shards are placed here. */
await runWorkerProcess('searcher', async ({ config, logger, stores, fail }) => {
  const name = config.workerName;
  const { routing } = stores.registry;
  // Without its thread this process would go on taking shards that it can never load; started anew it serves again.
  const host = await startSearchHost({ config, stores, feed: stores.registry.changes, logger, onDeath: fail });
  const work = createSearchHostActivities({ name, host, routing });
  const taskQueue = searchQueue(name);
  await routing.announceHost({ host: name, kind: 'search', url: host.url, taskQueue });
  return {
    // A slot per shard held here; shards wait for queries most of their time.
    workers: [
      { taskQueue, activities: work.activities, maxConcurrentActivityTaskExecutions: 500, shutdownGraceTime: 0 },
    ],
    withdraw: () => routing.withdrawHost(name),
    async close() {
      await work.settled();
      await host.close();
    },
  };
});
