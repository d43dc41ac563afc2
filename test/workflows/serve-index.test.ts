import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { workflowIds } from '../../contracts/workflows.ts';
import type { ServingTarget } from '../../contracts/workflows.ts';
import { ensureSupervisor, requestSwitch, servingState } from '../../infra/temporal/serve-client.ts';
import { FakeWorld, target } from '../support/fake-activities.ts';
import { openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeHost, startFakeWorkers } from '../support/workers.ts';

let env: TemporalEnv;
let world: FakeWorld;
let catalogue: string;
let workers: RunningWorker[];
let counter = 0;
const soon = { timeout: 30_000, interval: 50 };

beforeAll(async () => {
  env = await openTemporalEnv('serve');
});
beforeEach(async () => {
  world = new FakeWorld();
  for (const number of [1, 2]) {
    world.generations.push({ number, status: 'building', snapshot: 's', config: '', runId: `${number}` });
  }
  catalogue = `shop-${(counter += 1)}`;
  workers = [await startFakeWorkers(env, world)];
});
afterEach(async () => {
  for (const id of [workflowIds.serve(catalogue), ...replicaIds()]) {
    await env.client.workflow
      .getHandle(id)
      .terminate()
      .catch(() => undefined);
  }
  world.closed = true;
  await Promise.all(workers.map((worker) => worker.stop()));
});
afterAll(() => env?.close());

async function hosts(...names: string[]): Promise<void> {
  for (const name of names) workers.push(await startFakeHost(env, world, `${name}-${catalogue}`));
}
const switchTo = (to: ServingTarget, request = 'test') => requestSwitch(env.client, catalogue, to, null, request);
const replicaIds = (): string[] =>
  [1, 2].flatMap((g) => [0, 1].flatMap((s) => [0, 1].map((r) => workflowIds.replica(catalogue, g, s, r))));
const served = (generation: number): string[] =>
  world.endpoints.filter((row) => row.generation === generation).map(({ shard, host }) => `${shard}@${host}`);

describe('serveIndex', () => {
  it('switches once every shard answers, then drains the generation before', async () => {
    await hosts('a', 'b');
    expect(await switchTo(target(1))).toEqual({ previous: null, generation: 1 });
    expect(served(1)).toHaveLength(2);
    expect(await switchTo(target(2))).toEqual({ previous: 1, generation: 2 });
    expect(served(2)).toHaveLength(2);
    await vi.waitFor(() => expect(world.drained).toHaveLength(2), soon);
    expect(world.drained.every((name) => name.startsWith('g1/'))).toBe(true);
    await vi.waitFor(async () => {
      const state = await servingState(env.client, catalogue);
      expect(state.serving?.generation).toBe(2);
      expect(state.replicas.map(({ generation, status }) => [generation, status])).toEqual([
        [2, 'hosted'],
        [2, 'hosted'],
      ]);
    }, soon);
  });

  it('puts the replicas of a shard on different hosts', async () => {
    await hosts('a', 'b');
    await switchTo(target(1, { numReplicas: 2 }));
    await vi.waitFor(() => expect(served(1)).toHaveLength(4), soon);
    for (const shard of [0, 1]) {
      const on = world.endpoints.filter((row) => row.shard === shard).map(({ host }) => host);
      expect(new Set(on).size).toBe(2);
    }
  });

  it('takes twins apart that met on the only host, once another one is there', async () => {
    await hosts('a');
    await switchTo(target(1, { numReplicas: 2 }));
    await vi.waitFor(() => expect(served(1)).toHaveLength(4), soon);
    await hosts('b');
    await vi.waitFor(() => {
      const placed = world.endpoints.map(({ shard, replica, host }) => `${shard}/${replica}@${host[0]}`);
      expect(placed.sort()).toEqual(['0/0@a', '0/1@b', '1/0@a', '1/1@b']);
    }, soon);
    expect(world.drained).toEqual([]);
  });

  it('places a replica elsewhere when its keeper was told of a host that is gone', async () => {
    await hosts('a');
    world.hosts.add('ghost');
    await switchTo(target(1, { startupTimeoutMs: 60_000 }));
    expect(served(1).every((row) => row.includes('a-'))).toBe(true);
  });

  it('places a lost replica on another live host', async () => {
    await hosts('a', 'b');
    await switchTo(target(1));
    const lost = world.endpoints[0]!;
    world.dead.add(lost.host);
    await vi.waitFor(() => expect(served(1).filter((row) => row.includes(lost.host))).toEqual([]), soon);
    expect(served(1)).toHaveLength(2);
  });

  it('keeps a replica whose keeper cannot read where hosts stand, and places it once it can', async () => {
    await hosts('a', 'b');
    await switchTo(target(1));
    world.failing.set('listSearchHosts', ApplicationFailure.nonRetryable('no such table', 'invalidInput'));
    const lost = world.endpoints[0]!;
    const asked = world.count('listSearchHosts');
    world.dead.add(lost.host);
    await vi.waitFor(() => expect(world.count('listSearchHosts')).toBeGreaterThan(asked), soon);
    world.failing.clear();
    await vi.waitFor(() => expect(served(1).filter((row) => row.includes(lost.host))).toEqual([]), soon);
    const { shard, replica } = lost;
    const keeper = env.client.workflow.getHandle(workflowIds.replica(catalogue, 1, shard, replica));
    const { events } = await keeper.fetchHistory();
    const reads = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
      scheduled?.activityType?.name === 'listSearchHosts' ? [scheduled.retryPolicy?.maximumAttempts] : [],
    );
    expect(reads.length).toBeGreaterThan(1);
    expect(reads.every((attempts) => (attempts ?? 0) === 0)).toBe(true);
  });

  it('outlives a generation that it cannot drain, and still serves and switches', async () => {
    await hosts('a');
    await switchTo(target(1, { drainDelayMs: 1000 }));
    await switchTo(target(2));
    world.failing.set('describeIndex', ApplicationFailure.nonRetryable('the index is gone', 'notFound'));
    const asked = world.count('describeIndex');
    await vi.waitFor(() => expect(world.count('describeIndex')).toBeGreaterThan(asked), soon);
    world.failing.clear();
    expect(await switchTo(target(1), 'back')).toMatchObject({ generation: 1 });
  });

  it('waits for a host when the only one is lost, and serves again by itself', async () => {
    await hosts('a');
    await switchTo(target(1));
    const before = world.count('serveShard');
    world.dead.add(`a-${catalogue}`);
    await vi.waitFor(async () => {
      const { replicas } = await servingState(env.client, catalogue);
      expect(replicas.map(({ status }) => status)).toEqual(['placing', 'placing']);
    }, soon);
    await hosts('b');
    await vi.waitFor(() => expect(served(1).filter((row) => row.includes('b-'))).toHaveLength(2), soon);
    expect(world.count('serveShard')).toBe(before + 2);
  });

  it('leaves the old generation serving when the new one does not come up', async () => {
    await hosts('a');
    await switchTo(target(1));
    world.mute.add(2);
    const failed = switchTo(target(2, { startupTimeoutMs: 1500 }), 'first');
    await expect(failed).rejects.toMatchObject({ code: 'unavailable' });
    await expect(failed).rejects.toThrow(/Generation 2 did not come up, generation 1 goes on serving/);
    expect(world.serving?.number).toBe(1);
    await vi.waitFor(() => expect(served(2)).toEqual([]), soon);
    const { replicas } = await servingState(env.client, catalogue);
    expect(replicas.map(({ generation }) => generation)).toEqual([1, 1]);
    expect(served(1)).toHaveLength(2);
    world.mute.clear();
    expect(await switchTo(target(2), 'second')).toEqual({ previous: 1, generation: 2 });
  });

  it('answers a repeated switch with the first answer and does it once', async () => {
    await hosts('a');
    const [one, other] = await Promise.all([switchTo(target(1)), switchTo(target(1))]);
    expect(one).toEqual(other);
    expect(world.count('switchGeneration')).toBe(1);
  });

  it('keeps what the registry says serves when it is started anew', async () => {
    await hosts('a');
    expect(await ensureSupervisor(env.client, catalogue, target(1))).toBe(true);
    expect(await ensureSupervisor(env.client, catalogue, target(1))).toBe(false);
    await vi.waitFor(() => expect(served(1)).toHaveLength(2), soon);
  });

  it('goes on serving while its supervisor is replaced', async () => {
    await hosts('a');
    await switchTo(target(1));
    const before = world.count('serveShard');
    await env.client.workflow.getHandle(workflowIds.serve(catalogue)).terminate('replaced');
    expect(await ensureSupervisor(env.client, catalogue, target(1))).toBe(true);
    expect(await switchTo(target(1), 'again')).toMatchObject({ generation: 1 });
    expect(world.count('serveShard')).toBe(before);
  });

  it('drains everything when it is cancelled', async () => {
    await hosts('a');
    await switchTo(target(1));
    const handle = env.client.workflow.getHandle(workflowIds.serve(catalogue));
    await handle.cancel();
    await expect(handle.result()).rejects.toBeInstanceOf(WorkflowFailedError);
    await vi.waitFor(() => expect(world.drained).toHaveLength(2), soon);
    expect(world.endpoints).toEqual([]);
  });
});
