import { setTimeout as delay } from 'node:timers/promises';
import type { RoutingStore } from '../contracts/registry.ts';
import type { ShardEndpoint } from '../contracts/serving.ts';
import type { SearchHost } from '../infra/data-plane/search-host.ts';
import { isWorkerShutdown } from './failure.ts';
import { beating } from './heartbeat.ts';
import type { SearchHostActivities } from './interfaces.ts';
import { ShardLeases } from './shard-leases.ts';

export interface SearchHostDeps {
  /** This host's name among hosts. */
  name: string;
  host: Pick<SearchHost, 'url' | 'loadShard' | 'unloadShard' | 'load'>;
  routing: Pick<RoutingStore, 'putEndpoint' | 'removeEndpoint' | 'endpoints'>;
  timing?: Partial<typeof TIMING>;
}

const TIMING = {
  /** Under the activity's own limit: asks to be started again before it runs out. */
  rotateMs: 24 * 3600_000,
  /** After its row is gone, routers may still hold the table they read: they read it twice a second. */
  drainMs: 1500,
  /** How long a leaving host goes on answering until its replica stands elsewhere. */
  lingerMs: 3000,
  /** A shard whose activity rotated or was lost waits this long for the next one. */
  keepMs: 60_000,
  watchMs: 500,
};

export interface SearchHostWork {
  activities: SearchHostActivities;
  /** Resolves once every shard that was still answering for a leaving host has been given up. */
  settled(): Promise<void>;
}

/** One index worker's part in serving: shards come, answer and go; their bytes are the search host's. */
export function createSearchHostActivities(deps: SearchHostDeps): SearchHostWork {
  const { name, host, routing } = deps;
  const timing = { ...TIMING, ...deps.timing };
  const leases = new ShardLeases(host);
  const leaving = new Set<Promise<void>>();
  /** The newest attempt per replica: one that lost its heartbeat may end after its successor started on this very host. */
  const newest = new Map<string, symbol>();

  async function giveUp(catalogue: string, row: ShardEndpoint, owner: string, attempt: symbol): Promise<void> {
    if (newest.get(owner) !== attempt) return;
    await routing.removeEndpoint(catalogue, row);
    await delay(timing.drainMs);
    if (newest.get(owner) !== attempt) return;
    newest.delete(owner);
    await leases.release(owner, row.artifact);
  }

  /** Answers until another host has taken the replica over, or nobody does. */
  async function linger(catalogue: string, row: ShardEndpoint, owner: string, attempt: symbol): Promise<void> {
    const until = Date.now() + timing.lingerMs;
    while (Date.now() < until) {
      const rows = await routing.endpoints(catalogue, row.generation);
      const current = rows.find(({ shard, replica }) => shard === row.shard && replica === row.replica);
      if (current?.url !== row.url) break;
      await delay(100);
    }
    await giveUp(catalogue, row, owner, attempt);
  }

  const activities: SearchHostActivities = {
    serveShard: ({ catalogue, generation, shard, replica, artifact, stayMs = Infinity }) =>
      beating<'rotated'>(async ({ signal, report }) => {
        const owner = `${catalogue}/g${generation}/s${shard}/r${replica}`;
        const row: ShardEndpoint = { generation, shard, replica, url: host.url, host: name, artifact };
        const attempt = Symbol(owner);
        newest.set(owner, attempt);
        await leases.acquire(owner, artifact);
        try {
          signal.throwIfAborted();
          await routing.putEndpoint(catalogue, row);
          const until = Date.now() + Math.min(timing.rotateMs, stayMs);
          while (Date.now() < until) {
            report({ url: host.url, ...host.load() });
            await delay(timing.watchMs, undefined, { signal });
          }
          leases.releaseLater(owner, artifact, timing.keepMs);
          return 'rotated';
        } catch (error) {
          if (isWorkerShutdown(signal)) {
            const left = linger(catalogue, row, owner, attempt).finally(() => leaving.delete(left));
            leaving.add(left);
          } else {
            await giveUp(catalogue, row, owner, attempt);
          }
          throw error;
        }
      }),
  };

  return {
    activities,
    async settled() {
      await Promise.allSettled(leaving);
    },
  };
}
