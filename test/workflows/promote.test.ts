import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createServingActivities } from '../../activities/serving.ts';
import type { ArtifactKind } from '../../contracts/artifacts.ts';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import { workflowIds } from '../../contracts/workflows.ts';
import { promoteGeneration, rollBack } from '../../infra/generations/promote.ts';
import type { Switched } from '../../infra/generations/promote.ts';
import type { Stores } from '../../infra/stores.ts';
import { requestSwitch, servingState } from '../../infra/temporal/serve-client.ts';
import { servingTarget } from '../../infra/temporal/serving-target.ts';
import { openTestStores } from '../infra/artifacts/open-test-stores.ts';
import { FakeWorld, fakeActivities } from '../support/fake-activities.ts';
import { bundled, openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeHost } from '../support/workers.ts';

let env: TemporalEnv;
let stores: Stores;
let world: FakeWorld;
let catalogue: string;
let workers: RunningWorker[];
let counter = 0;
let wishes = 0;

beforeAll(async () => {
  env = await openTemporalEnv('promote');
});
beforeEach(async () => {
  stores = await openTestStores();
  world = new FakeWorld();
  catalogue = `shop-${(counter += 1)}`;
  const real = createServingActivities({ config: { dataPlane: { token: 't', host: '' } }, stores });
  const switchGeneration: typeof real.switchGeneration = (input) => real.switchGeneration(input);
  const activities = { ...fakeActivities(world), switchGeneration };
  workers = [
    await env.startWorker({ taskQueue: TASK_QUEUES.orchestrator, activities, ...bundled() }),
    await startFakeHost(env, world, `a-${catalogue}`),
  ];
});
afterEach(async () => {
  const runs = env.client.workflow.list({
    query: `LookalikeCatalogue = '${catalogue}' AND ExecutionStatus = 'Running'`,
  });
  for await (const { workflowId } of runs) await env.client.workflow.getHandle(workflowId).terminate();
  world.closed = true;
  await Promise.all(workers.map((worker) => worker.stop()));
  await stores.close();
});
afterAll(() => env?.close());

async function publish(kind: ArtifactKind, name: string, inputs: Record<string, string> = {}): Promise<string> {
  const draft = { kind, inputs, config: { name, catalogue }, seed: null, summary: { dim: 4 }, metrics: {}, files: {} };
  return (await stores.artifacts.publish(draft)).id;
}

/** A generation with artefacts of its own, switched to as a retraining run does it. */
async function serve(name: string): Promise<number> {
  const { generations } = stores.registry;
  const model = await publish('model', name);
  const index = await publish('index', name, { shard0: await publish('shard', name) });
  const made = await generations.create({ catalogue, snapshot: 's', workflowId: 'retrain/x', workflowRunId: name });
  const ready = await generations.update(catalogue, made.number, { model, index });
  await requestSwitch(env.client, catalogue, { ...servingTarget(ready)!, drainDelayMs: 10 }, null, name);
  return made.number;
}

const wish = (reason: string | null = null) => ({ catalogue, by: 'ann', reason, request: `${(wishes += 1)}` });
const deps = () => ({ stores, client: env.client });
const promote = (number: number): Promise<Switched> => promoteGeneration(deps(), wish(), number);

describe('going back to a generation that served before', () => {
  it('needs nothing but its artefacts, is recorded, and is what the supervisor then keeps alive', async () => {
    for (const name of ['one', 'two', 'three']) await serve(name);
    const before = world.names();
    expect(await rollBack(deps(), wish('shoes are wrong'))).toEqual({ generation: 2, previous: 3, switched: true });
    expect(await rollBack(deps(), wish())).toEqual({ generation: 1, previous: 2, switched: true });
    await expect(rollBack(deps(), wish())).rejects.toMatchObject({ code: 'conflict' });
    expect(await promote(3)).toEqual({ generation: 3, previous: 1, switched: true });
    expect(await promote(3)).toEqual({ generation: 3, previous: null, switched: false });
    expect(await rollBack(deps(), wish(), 2)).toMatchObject({ generation: 2, previous: 3 });

    const [serving, ...others] = await stores.registry.generations.list(catalogue, 'serving');
    expect([serving!.number, others]).toEqual([2, []]);
    const switches = await stores.registry.generations.switches(catalogue);
    expect(switches.map(({ how, generation, by }) => `${how} ${generation} ${by}`)).toEqual([
      ...['retrain 1 retrain/x', 'retrain 2 retrain/x', 'retrain 3 retrain/x'],
      ...['rollback 2 ann', 'rollback 1 ann', 'promote 3 ann', 'rollback 2 ann'],
    ]);
    expect(switches[3]).toMatchObject({ reason: 'shoes are wrong', previous: 3 });
    const since = new Set(world.names().slice(before.length));
    for (const name of ['trainHead', 'embedChunk', 'buildShard', 'publishIndex']) expect(since).not.toContain(name);
    await vi.waitFor(async () => expect((await servingState(env.client, catalogue)).serving?.generation).toBe(2), {
      timeout: 20_000,
      interval: 50,
    });
  });

  it('starts the supervisor where none runs', async () => {
    for (const name of ['one', 'two']) await serve(name);
    await env.client.workflow.getHandle(workflowIds.serve(catalogue)).terminate();
    expect(await rollBack(deps(), wish())).toMatchObject({ generation: 1, previous: 2 });
  });

  it('leaves what serves when the other one does not come up', async () => {
    for (const name of ['one', 'two']) await serve(name);
    world.mute.add(1);
    const target = servingTarget((await stores.registry.generations.get(catalogue, 1))!)!;
    const refused = requestSwitch(env.client, catalogue, { ...target, startupTimeoutMs: 500 }, null, 'mute');
    await expect(refused).rejects.toThrow(/Generation 1 did not come up, generation 2 goes on serving/);
    expect(await stores.registry.generations.list(catalogue, 'serving')).toMatchObject([{ number: 2 }]);
    expect(await stores.registry.generations.switches(catalogue)).toHaveLength(2);
  });

  it('refuses at once what never served and what garbage collection took', async () => {
    const { generations } = stores.registry;
    await expect(rollBack(deps(), wish())).rejects.toThrow(/found none to roll back/);
    await serve('one');
    for (const status of ['building', 'rejected', 'failed'] as const) {
      const made = await generations.create({ catalogue, snapshot: 's', workflowId: 'w', workflowRunId: status });
      await generations.update(catalogue, made.number, { status, metrics: { reasons: ['Too bad.'] } });
      await expect(promote(made.number)).rejects.toThrow(new RegExp(`it is ${status}.*Too bad`));
    }
    await expect(promote(99)).rejects.toMatchObject({ code: 'notFound' });
    const gone = await generations.create({ catalogue, snapshot: 's', workflowId: 'w', workflowRunId: 'gone' });
    const model = await publish('model', 'gone');
    await generations.update(catalogue, gone.number, { status: 'retired', model, index: `index-${'0'.repeat(32)}` });
    await expect(promote(gone.number)).rejects.toThrow(/`artifacts gc` has taken them/);
  });
});
