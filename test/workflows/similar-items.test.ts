import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import type { SimilarItemsInput, SimilarItemsOutput } from '../../contracts/similar.ts';
import { WORKFLOWS } from '../../contracts/workflows.ts';
import { SimilarConfigSchema } from '../../infra/similar/similar-config.ts';
import { startSimilarItems } from '../../infra/temporal/similar-client.ts';
import { FakeWorld } from '../support/fake-activities.ts';
import { openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeWorkers } from '../support/workers.ts';

const config = SimilarConfigSchema.parse({});
let env: TemporalEnv;
let world: FakeWorld;
let workers: RunningWorker;
let counter = 0;

beforeAll(async () => {
  env = await openTemporalEnv('similar');
});
beforeEach(async () => {
  world = new FakeWorld();
  world.generations.push({ number: 1, status: 'serving', snapshot: 's', config: '', runId: 'r', index: 'index-1' });
  workers = await startFakeWorkers(env, world);
});
afterEach(async () => {
  world.stuck.clear();
  await workers.stop();
});
afterAll(() => env?.close());

async function start(change: Partial<SimilarItemsInput> = {}) {
  return env.client.workflow.start<(input: SimilarItemsInput) => Promise<SimilarItemsOutput>>(WORKFLOWS.similarItems, {
    taskQueue: TASK_QUEUES.orchestrator,
    workflowId: `similar-${(counter += 1)}`,
    args: [{ catalogue: 'shop', config, ...change }],
  });
}
const chunks = (): number[] =>
  world.calls.filter(({ name }) => name === 'findSimilarChunk').map(({ input }) => (input as { chunk: number }).chunk);

describe('similarItems', () => {
  it('finds each chunk once over several continued runs, then records what serves answers from', async () => {
    world.numChunks = 11;
    const handle = await start({ chunksPerRun: 4 });
    expect(await handle.result()).toEqual({
      ...{ similar: 'similar-index-1', generation: 1, index: 'index-1', reused: false },
      ...{ numItems: 10, numGroups: 1, numGrouped: 2 },
    });
    expect(chunks().sort((a, b) => a - b)).toEqual([...Array(11).keys()]);
    expect(world.count('planSimilar')).toBe(1);
    expect([...world.similar]).toEqual([['index-1', 'similar-index-1']]);
    expect((await handle.describe()).runId).not.toBe(handle.firstExecutionRunId);
  });

  it('finds nothing again that is finished, and records it all the same', async () => {
    await (await start()).result();
    const before = chunks().length;
    world.similar.clear();
    expect(await (await start()).result()).toMatchObject({ reused: true });
    expect(chunks()).toHaveLength(before);
    expect(world.similar.size).toBe(1);
  });

  it('says so when nothing serves', async () => {
    world.generations = [];
    await expect((await start()).result()).rejects.toMatchObject({
      cause: { cause: { type: 'notFound', message: expect.stringContaining('nothing serves') as string } },
    });
  });

  it('stops on a cancel and records nothing', async () => {
    world.stuck.add('findSimilarChunk');
    const handle = await start();
    await expect.poll(() => chunks().length, { timeout: 20_000 }).toBeGreaterThan(0);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    expect(world.similar.size).toBe(0);
  });

  it('joins the run that already goes on', async () => {
    world.stuck.add('findSimilarChunk');
    const first = await startSimilarItems(env.client, { catalogue: 'shop', config });
    const second = await startSimilarItems(env.client, { catalogue: 'shop', config });
    expect([first.started, second.started]).toEqual([true, false]);
    expect(second.runId).toBe(first.runId);
    world.stuck.clear();
    await env.client.workflow.getHandle(first.workflowId).result();
  });
});
