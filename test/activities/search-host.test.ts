import { MockActivityEnvironment } from '@temporalio/testing';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createSearchHostActivities } from '../../activities/search-host.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { ShardEndpoint } from '../../contracts/serving.ts';
import type { ServeReplicaInput } from '../../contracts/workflows.ts';

const input: ServeReplicaInput = { catalogue: 'shop', generation: 1, shard: 0, replica: 0, artifact: 'shard-a' };
const url = 'http://here';
let rows: ShardEndpoint[];
let loaded: Set<string>;
let log: string[];

const routing = {
  putEndpoint: async (_: string, row: ShardEndpoint) => {
    log.push('row put');
    rows = [...rows.filter((other) => other.generation !== row.generation), row];
  },
  removeEndpoint: async (_: string, row: ShardEndpoint) => {
    log.push('row removed');
    rows = rows.filter((other) => other.url !== row.url || other.generation !== row.generation);
  },
  endpoints: async (_: string, generation: number) => rows.filter((row) => row.generation === generation),
};
const host = {
  url,
  loadShard: async (id: string) => {
    if (id === 'shard-broken') throw new LookalikeError('corruptArtifact', 'bad bytes');
    log.push(`load ${id}`);
    loaded.add(id);
  },
  unloadShard: async (id: string) => {
    log.push(`unload ${id}`);
    loaded.delete(id);
  },
  load: () => ({ queries: 0, inFlight: 0 }),
};
const quickly = { drainMs: 5, lingerMs: 200, keepMs: 50, watchMs: 5 };

beforeEach(() => {
  rows = [];
  loaded = new Set();
  log = [];
});

function start(change: Partial<ServeReplicaInput> = {}, work = hostWork()) {
  const env = new MockActivityEnvironment();
  const ended = env.run(() => work.activities.serveShard({ ...input, ...change })).catch((error: unknown) => error);
  return { env, ended, work };
}
function hostWork(timing: object = {}) {
  return createSearchHostActivities({ name: 'here', host, routing, timing: { ...quickly, ...timing } });
}
const up = (generation = 1) => vi.waitFor(() => expect(rows.some((row) => row.generation === generation)).toBe(true));

describe('serveShard', () => {
  it('announces its shard once it is loaded; on a cancel the row goes first, then the shard', async () => {
    const { env, ended } = start();
    await up();
    expect(rows).toEqual([{ generation: 1, shard: 0, replica: 0, url, host: 'here', artifact: 'shard-a' }]);
    env.cancel('CANCELLED');
    expect(await ended).toMatchObject({ name: 'CancelledFailure' });
    expect(log).toEqual(['load shard-a', 'row put', 'row removed', 'unload shard-a']);
  });

  it('announces nothing when the shard cannot be loaded', async () => {
    const { ended } = start({ artifact: 'shard-broken' });
    expect(await ended).toMatchObject({ type: 'corruptArtifact', nonRetryable: true });
    expect(rows).toEqual([]);
  });

  it('keeps a shard that another generation still needs', async () => {
    const work = hostWork();
    const first = start({}, work);
    const second = start({ generation: 2 }, work);
    await up(1);
    await up(2);
    first.env.cancel('CANCELLED');
    await first.ended;
    expect(loaded.has('shard-a')).toBe(true);
    second.env.cancel('CANCELLED');
    await second.ended;
    expect(loaded.has('shard-a')).toBe(false);
  });

  it('lets a lost attempt end without touching its successor on the same host', async () => {
    const work = hostWork();
    const lost = start({}, work);
    await up();
    const successor = start({}, work);
    await vi.waitFor(() => expect(log.filter((line) => line === 'row put')).toHaveLength(2));
    lost.env.cancel('NOT_FOUND');
    await lost.ended;
    expect(rows).toHaveLength(1);
    expect(loaded.has('shard-a')).toBe(true);
    successor.env.cancel('CANCELLED');
    await successor.ended;
    expect(loaded.size).toBe(0);
  });

  it('leaves row and shard in place when it asks to be started again', async () => {
    const work = hostWork({ rotateMs: 10 });
    const { ended } = start({}, work);
    expect(await ended).toBe('rotated');
    expect(rows).toHaveLength(1);
    expect(loaded.has('shard-a')).toBe(true);
    await vi.waitFor(() => expect(loaded.has('shard-a')).toBe(false));
  });

  it('goes on answering while its worker shuts down until the replica stands elsewhere', async () => {
    const { env, ended, work } = start({}, hostWork({ lingerMs: 10_000 }));
    await up();
    env.cancel('WORKER_SHUTDOWN');
    expect(await ended).toMatchObject({ type: 'unavailable', nonRetryable: false });
    expect(loaded.has('shard-a')).toBe(true);
    rows = [{ ...rows[0]!, url: 'http://elsewhere', host: 'elsewhere' }];
    await work.settled();
    expect(loaded.size).toBe(0);
    expect(rows[0]?.url).toBe('http://elsewhere');
  });
});
