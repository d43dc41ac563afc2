import { Context } from '@temporalio/activity';
import type { Config } from '../infra/config/env.ts';
import { createHostClient } from '../infra/data-plane/host-client.ts';
import { liveHosts } from '../infra/data-plane/live-hosts.ts';
import type { Stores } from '../infra/stores.ts';
import { requireCaughtUp } from './caught-up.ts';
import { quick } from './heartbeat.ts';
import type { ServingActivities } from './interfaces.ts';
import { probeEndpoints } from './probe.ts';

/**
 * Attempts, of a round of about fifteen seconds, that insist on the changes that searches see now: a switch should take nothing back. One
 * that is late (nobody embeds, say) does not keep a good generation away for ever.
 */
const MAX_CATCH_UP_ATTEMPTS = 10;

export interface ServingDeps {
  config: Pick<Config, 'dataPlane'>;
  stores: Pick<Stores, 'artifacts' | 'registry'>;
}

/** What the supervisor of a catalogue sees and does. */
export function createServingActivities({ config, stores }: ServingDeps): ServingActivities {
  const { routing, generations } = stores.registry;
  const { token } = config.dataPlane;

  return {
    describeIndex: ({ index }) =>
      quick(async () => {
        const { inputs } = (await stores.artifacts.get(index)).manifest;
        const shards: string[] = [];
        for (let shard = 0, id = inputs.shard0; id !== undefined; id = inputs[`shard${shard}`]) {
          shards.push(id);
          shard += 1;
        }
        return { shards };
      }),

    listSearchHosts: ({ catalogue, generations: wanted }) =>
      quick(async () => {
        const serving = await generations.list(catalogue, 'serving');
        const numbers = new Set([...wanted, ...serving.map(({ number }) => number)]);
        const rows = await Promise.all([...numbers].map((number) => routing.endpoints(catalogue, number)));
        return { hosts: await liveHosts(await routing.hosts('search'), token), endpoints: rows.flat() };
      }),

    probeGeneration: ({ catalogue, target, numShards }) =>
      quick(async (signal) => {
        const client = createHostClient(token);
        try {
          const endpoints = await routing.endpoints(catalogue, target.generation);
          await probeEndpoints({ client, stores, endpoints, index: target.index, numShards, signal });
          if (Context.current().info.attempt > MAX_CATCH_UP_ATTEMPTS) return;
          const serving = await routing.routingTable(catalogue);
          if (serving === undefined || serving.generation === target.generation) return;
          await requireCaughtUp(client, serving, { catalogue, generation: target.generation, numShards, endpoints });
        } finally {
          await client.close();
        }
      }),

    switchGeneration: ({ catalogue, generation, order }) =>
      quick(async () => {
        const previous = await generations.switchTo(catalogue, generation, order);
        return { previous: previous?.number ?? null };
      }),

    forgetReplica: ({ catalogue, generation, shard, replica }) =>
      quick(async () => {
        const rows = await routing.endpoints(catalogue, generation);
        const own = rows.filter((row) => row.shard === shard && row.replica === replica);
        for (const row of own) await routing.removeEndpoint(catalogue, row);
      }),
  };
}
