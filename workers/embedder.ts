import { createEmbedActivities } from '../activities/embed.ts';
import { TASK_QUEUES } from '../contracts/queues.ts';
import { startEmbedHost } from '../infra/data-plane/embed-host.ts';
import { liveHosts } from '../infra/data-plane/live-hosts.ts';
import { EmbedChanges } from '../infra/delta/embed-changes.ts';
import { evaluateOnSnapshot } from '../infra/evaluation/evaluate-on-snapshot.ts';
import { createEmbedder } from '../infra/inference/embedder.ts';
import { runWorkerProcess } from './run.ts';

/** The model runtime: batches from Temporal and, with precedence, single pictures from the data plane and pictures of changed items. */
await runWorkerProcess('embedder', async ({ config, logger, stores }) => {
  const name = config.workerName;
  const { routing } = stores.registry;
  const embedder = createEmbedder({ config, stores, logger });
  const host = await startEmbedHost({ config, embedder, logger });
  const taskQueue = TASK_QUEUES.embed;
  await routing.announceHost({ host: name, kind: 'embed', url: host.url, taskQueue });
  const peers = async (): Promise<string[]> =>
    (await liveHosts(await routing.hosts('embed'), config.dataPlane.token)).map((peer) => peer.host);
  const { changes } = stores.registry;
  const changed = new EmbedChanges({ changes, blobs: stores.blobs, embedder, name, peers, logger });
  changed.start();
  return {
    // Two chunks at once: one decodes while the other infers; more would only queue for the same threads.
    workers: [
      {
        taskQueue,
        activities: createEmbedActivities({ stores, embedder, evaluate: evaluateOnSnapshot }),
        maxConcurrentActivityTaskExecutions: 2,
      },
    ],
    withdraw: () => routing.withdrawHost(name),
    async close() {
      await changed.stop();
      await host.close();
      await embedder.close();
    },
  };
});
