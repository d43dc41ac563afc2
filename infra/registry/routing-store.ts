import type { RoutingStore } from '../../contracts/registry.ts';
import type { DataPlaneHost, ShardEndpoint } from '../../contracts/serving.ts';
import type { Database } from './database.ts';
import type { Tables } from './schema.ts';

const ENDPOINT_KEY = ['catalogue', 'generation', 'shard', 'replica'] as const;

export function createRoutingStore({ db }: Database): RoutingStore {
  return {
    async announceHost({ host, kind, url, taskQueue }) {
      const change = { kind, url, task_queue: taskQueue };
      const insert = db.insertInto('hosts').values({ host, ...change });
      await insert.onConflict((oc) => oc.column('host').doUpdateSet(change)).execute();
    },
    async withdrawHost(host) {
      await db.deleteFrom('hosts').where('host', '=', host).execute();
    },
    async hosts(kind) {
      const rows = await db.selectFrom('hosts').selectAll().where('kind', '=', kind).orderBy('host').execute();
      return rows.map(({ host, url, task_queue }): DataPlaneHost => ({ host, kind, url, taskQueue: task_queue }));
    },
    async putEndpoint(catalogue, { generation, shard, replica, url, host, artifact }) {
      const change = { url, host, artifact };
      const insert = db.insertInto('endpoints').values({ catalogue, generation, shard, replica, ...change });
      await insert.onConflict((oc) => oc.columns(ENDPOINT_KEY).doUpdateSet(change)).execute();
    },
    async removeEndpoint(catalogue, { generation, shard, replica, url }) {
      await db
        .deleteFrom('endpoints')
        .where('catalogue', '=', catalogue)
        .where('generation', '=', generation)
        .where('shard', '=', shard)
        .where('replica', '=', replica)
        .where('url', '=', url)
        .execute();
    },
    async endpoints(catalogue, generation) {
      const query = db.selectFrom('endpoints').selectAll().where('catalogue', '=', catalogue);
      const rows = await query.where('generation', '=', generation).orderBy('shard').orderBy('replica').execute();
      return rows.map(endpointOf);
    },
    async routingTable(catalogue) {
      // One statement, so that a switch in between cannot pair a generation with the other's endpoints.
      const rows = await db
        .selectFrom('generations as g')
        .leftJoin('endpoints as e', (join) =>
          join.onRef('e.catalogue', '=', 'g.catalogue').onRef('e.generation', '=', 'g.number'),
        )
        .where('g.catalogue', '=', catalogue)
        .where('g.status', '=', 'serving')
        .select(['g.number', 'g.model', 'g.dim', 'g.num_shards'])
        .select(['e.shard', 'e.replica', 'e.url', 'e.host', 'e.artifact'])
        .orderBy('e.shard')
        .orderBy('e.replica')
        .execute();
      const [first] = rows;
      if (!first) return undefined;
      const { number: generation, model, dim, num_shards: numShards } = first;
      if (model === null || dim === null || numShards === null) {
        throw new Error(
          `Expected the serving generation ${generation} of "${catalogue}" to have model, dim and shards.`,
        );
      }
      const endpoints = rows.flatMap(({ shard, replica, url, host, artifact }): ShardEndpoint[] =>
        shard === null || replica === null || url === null || host === null || artifact === null
          ? []
          : [{ generation, shard, replica, url, host, artifact }],
      );
      return { catalogue, generation, model, dim, numShards, endpoints };
    },
  };
}

function endpointOf({ catalogue: _, ...endpoint }: Tables['endpoints']): ShardEndpoint {
  return endpoint;
}
