import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { TASK_QUEUES, searchQueue } from '../../contracts/queues.ts';
import { REPLICA_CHANGED, workflowIds } from '../../contracts/workflows.ts';
import type { ReplicaState, ServeIndexInput, ServeReplicaInput, ServingTarget } from '../../contracts/workflows.ts';
import { SwitchRefused, requestSwitch, servingState } from '../../infra/temporal/serve-client.ts';
import { FakeWorld, target } from '../support/fake-activities.ts';
import { replayEnded, runsOf, startShortHistoryServer } from '../support/short-histories.ts';
import type { Run } from '../support/short-histories.ts';
import { openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeHost, startFakeWorkers } from '../support/workers.ts';

/** More than a run of either workflow writes by itself until it has settled. */
const SUGGESTED_AFTER = 60;

let server: Awaited<ReturnType<typeof startShortHistoryServer>>;
let env: TemporalEnv;
let world: FakeWorld;
let catalogue: string;
let orchestrator: RunningWorker;
let workers: RunningWorker[];
let counter = 0;
const soon = { timeout: 60_000, interval: 50 };

beforeAll(async () => {
  server = await startShortHistoryServer(SUGGESTED_AFTER);
  env = await openTemporalEnv('continued', server.address);
});
beforeEach(async () => {
  world = new FakeWorld();
  for (const number of [1, 2, 3]) {
    world.generations.push({ number, status: 'building', snapshot: 's', config: '', runId: `${number}` });
  }
  catalogue = `shop-${(counter += 1)}`;
  orchestrator = await startFakeWorkers(env, world);
  workers = [];
});
afterEach(async () => {
  const keepers = [1, 2, 3].flatMap((g) => [0, 1].map((s) => workflowIds.replica(catalogue, g, s, 0)));
  for (const id of [workflowIds.serve(catalogue), ...keepers]) {
    await env.client.workflow
      .getHandle(id)
      .terminate()
      .catch(() => undefined);
  }
  world.closed = true;
  await Promise.all([orchestrator, ...workers].map((worker) => worker.stop()));
});
afterAll(async () => {
  await env?.close();
  await server?.close();
});

const supervisor = () => env.client.workflow.getHandle(workflowIds.serve(catalogue));
const keeper = (shard = 0, generation = 1) =>
  env.client.workflow.getHandle(workflowIds.replica(catalogue, generation, shard, 0));
async function hosts(...names: string[]): Promise<void> {
  for (const name of names) workers.push(await startFakeHost(env, world, `${name}-${catalogue}`));
}
const switchTo = (to: ServingTarget, request: string) => requestSwitch(env.client, catalogue, to, null, request);
const numRuns = async (workflowId: string): Promise<number> => (await runsOf(env.client, workflowId)).length;
const served = (generation: number): string[] =>
  world.endpoints
    .filter((row) => row.generation === generation)
    .map(({ shard, host }) => `${shard}@${host}`)
    .sort();
const activities = ({ events }: Run): string[] =>
  events.flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? []);

/** Reports of replicas that no keeper has, one by one, until the supervisor has continued as new `times` more times. */
async function report(times: number, from = 0): Promise<number> {
  const wanted = (await numRuns(supervisor().workflowId)) + times;
  let sent = from;
  while ((await numRuns(supervisor().workflowId)) < wanted) {
    const generation = (await servingState(env.client, catalogue)).serving!.generation;
    const burst = Array.from({ length: 15 }, (): ReplicaState => {
      return { generation, shard: 100 + sent++, replica: 0, host: 'elsewhere', status: 'hosted' };
    });
    await Promise.all(burst.map((state) => supervisor().signal(REPLICA_CHANGED, state)));
  }
  return sent;
}

describe('serveIndex that continues as new', () => {
  it('carries on what serves, loses no report, and leaves the replicas where they are', async () => {
    await hosts('a', 'b');
    await switchTo(target(1), 'first');
    const before = served(1);
    const sent = await report(3);
    const state = await servingState(env.client, catalogue);
    expect(state).toMatchObject({ serving: target(1), loading: null });
    const shards = state.replicas.map(({ shard }) => shard).sort((a, b) => a - b);
    expect(shards).toEqual([0, 1, ...Array.from({ length: sent }, (_, i) => 100 + i)]);
    expect(served(1)).toEqual(before);
    expect(world.count('serveShard')).toBe(2);
    expect(world.count('switchGeneration')).toBe(1);
    const runs = await runsOf(env.client, supervisor().workflowId);
    expect(runs.length).toBeGreaterThanOrEqual(4);
    expect(runs.slice(1).every(({ input }) => (input as ServeIndexInput).serving?.generation === 1)).toBe(true);
    await replayEnded(supervisor().workflowId, runs);
  });

  it('answers every switch once that is asked for while it continues as new', async () => {
    await hosts('a', 'b');
    await switchTo(target(1), 'first');
    let isOver = false;
    const noise = (async () => {
      while (!isOver) await report(1);
    })();
    const answers = [];
    try {
      for (let round = 0; round < 6; round++) {
        const to = target(2 - (round % 2));
        // The second asks for the same, as does an activity that is tried again.
        const [one, other] = await Promise.all([switchTo(to, `${round}`), switchTo(to, `${round}`)]);
        expect(other).toEqual(one);
        answers.push(one);
      }
    } finally {
      isOver = true;
      await noise;
    }
    expect(answers).toEqual(Array.from({ length: 6 }, (_, i) => ({ previous: 1 + (i % 2), generation: 2 - (i % 2) })));
    expect(world.count('switchGeneration')).toBe(7);
    const runs = await runsOf(env.client, supervisor().workflowId);
    expect(runs.length).toBeGreaterThanOrEqual(3);
    const completed = runs.flatMap(({ events }) =>
      events.flatMap(({ workflowExecutionUpdateCompletedEventAttributes: done }) => done?.meta?.updateId ?? []),
    );
    expect(completed.sort()).toEqual([...new Set(completed)]);
    expect(completed).toHaveLength(7);
    await vi.waitFor(() => expect(served(2)).toEqual([]), soon);
    expect(served(1)).toHaveLength(2);
    await replayEnded(supervisor().workflowId, runs);
  });

  it('gives a repeated request its first answer in a later run, and does not switch back', async () => {
    await hosts('a');
    const first = await switchTo(target(1), 'one');
    const second = await switchTo(target(2), 'two');
    world.mute.add(3);
    const refused = await switchTo(target(3, { startupTimeoutMs: 500 }), 'three').catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(SwitchRefused);
    await report(2);
    const asked = [world.count('switchGeneration'), world.count('probeGeneration')];
    world.mute.clear();
    expect(await switchTo(target(1), 'one')).toEqual(first);
    expect(await switchTo(target(2), 'two')).toEqual(second);
    const again = await switchTo(target(3, { startupTimeoutMs: 500 }), 'three').catch((error: unknown) => error);
    expect(again).toBeInstanceOf(SwitchRefused);
    expect((again as SwitchRefused).message).toBe((refused as SwitchRefused).message);
    expect([world.count('switchGeneration'), world.count('probeGeneration')]).toEqual(asked);
    expect(world.serving?.number).toBe(2);
    expect(await switchTo(target(3), 'four')).toEqual({ previous: 2, generation: 3 });
  });

  it('finishes a switch under way before it continues', async () => {
    await hosts('a');
    await switchTo(target(1), 'first');
    world.stuck.add('switchGeneration');
    const pending = switchTo(target(2), 'second');
    await vi.waitFor(() => expect(world.count('switchGeneration')).toBe(2), soon);
    const before = await numRuns(supervisor().workflowId);
    const extra = Array.from({ length: SUGGESTED_AFTER }, (_, i): ReplicaState => {
      return { generation: 1, shard: 100 + i, replica: 0, host: 'elsewhere', status: 'hosted' };
    });
    await Promise.all(extra.map((state) => supervisor().signal(REPLICA_CHANGED, state)));
    const state = await servingState(env.client, catalogue);
    expect(state).toMatchObject({ serving: { generation: 1 }, loading: { generation: 2 } });
    expect(await numRuns(supervisor().workflowId)).toBe(before);
    world.stuck.clear();
    expect(await pending).toEqual({ previous: 1, generation: 2 });
    await vi.waitFor(async () => expect(await numRuns(supervisor().workflowId)).toBe(before + 1), soon);
    await vi.waitFor(() => expect(served(1)).toEqual([]), soon);
    expect(served(2)).toHaveLength(2);
  });

  it('drains everything when the cancel comes with the event that makes it continue', async () => {
    await hosts('a');
    await switchTo(target(1), 'first');
    await report(2);
    await orchestrator.stop();
    const burst = Array.from({ length: SUGGESTED_AFTER }, (_, i): ReplicaState => {
      return { generation: 1, shard: i, replica: 0, host: 'elsewhere', status: 'hosted' };
    });
    await Promise.all(burst.map((state) => supervisor().signal(REPLICA_CHANGED, state)));
    await supervisor().cancel();
    orchestrator = await startFakeWorkers(env, world);
    await expect(supervisor().result()).rejects.toMatchObject({ cause: expect.any(CancelledFailure) as unknown });
    await vi.waitFor(() => expect(world.drained).toHaveLength(2), soon);
    expect(world.endpoints).toEqual([]);
  });
});

describe('serveReplica that continues as new', () => {
  it('stays on its host, and the shard is never away', async () => {
    await hosts('a', 'b');
    await switchTo(target(1), 'first');
    const before = served(1);
    // Hosts that ask to be started anew at once: one stay after the other.
    world.closed = true;
    await vi.waitFor(async () => expect(await numRuns(keeper().workflowId)).toBeGreaterThanOrEqual(3), soon);
    world.closed = false;
    expect(served(1)).toEqual(before);
    expect(world.drained).toEqual([]);
    const runs = await runsOf(env.client, keeper().workflowId);
    const host = before[0]!.slice('0@'.length);
    for (const { input } of runs.slice(1)) {
      expect(input).toMatchObject({ catalogue, generation: 1, shard: 0, replica: 0, preferredHost: host });
    }
    expect(runs.slice(1).flatMap(activities)).not.toContain('listSearchHosts');
    await replayEnded(keeper().workflowId, runs);
    await supervisor().cancel();
    await vi.waitFor(() => expect(world.endpoints).toEqual([]), soon);
  });

  it('remembers over its runs how often and where it was lost', async () => {
    const bad = `bad-${catalogue}`;
    world.hosts.add(bad);
    const serveShard = (): Promise<never> =>
      Promise.reject(ApplicationFailure.nonRetryable('no room for a shard', 'overloaded'));
    workers.push(await env.startWorker({ taskQueue: searchQueue(bad), activities: { serveShard } }));
    const input: ServeReplicaInput = { catalogue, generation: 1, shard: 0, replica: 0, artifact: 'shard-1' };
    await env.client.workflow.start('serveReplica', {
      taskQueue: TASK_QUEUES.orchestrator,
      workflowId: keeper().workflowId,
      args: [input],
    });
    await vi.waitFor(async () => expect(await numRuns(keeper().workflowId)).toBeGreaterThanOrEqual(3), soon);
    const [, second, third] = (await runsOf(env.client, keeper().workflowId)).map((run) => run.input);
    expect(second).toMatchObject({ lostHost: bad });
    const losses = [second, third].map((carried) => (carried as ServeReplicaInput).losses ?? 0);
    expect(losses[0]).toBeGreaterThan(0);
    expect(losses[1]).toBeGreaterThan(losses[0]!);
    await hosts('good');
    await vi.waitFor(() => expect(served(1)).toEqual([`0@good-${catalogue}`]), soon);
    await replayEnded(keeper().workflowId, await runsOf(env.client, keeper().workflowId));
  });

  it('drains when the cancel comes with the answer after which it would continue', async () => {
    await hosts('a');
    await switchTo(target(1), 'first');
    await vi.waitFor(() => expect(served(1)).toHaveLength(2), soon);
    await orchestrator.stop();
    await Promise.all(Array.from({ length: SUGGESTED_AFTER }, () => keeper().signal('noise')));
    world.closed = true;
    await vi.waitFor(async () => {
      const { raw } = await keeper().describe();
      expect(raw.pendingActivities).toEqual([]);
    }, soon);
    world.closed = false;
    await keeper().cancel();
    orchestrator = await startFakeWorkers(env, world);
    await expect(keeper().result()).rejects.toMatchObject({ cause: expect.any(CancelledFailure) as unknown });
    await vi.waitFor(() => expect(served(1)).toEqual([`1@a-${catalogue}`]), soon);
    await replayEnded(keeper().workflowId, await runsOf(env.client, keeper().workflowId));
  });
});
