import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import { WORKFLOWS } from '../../contracts/workflows.ts';
import type { EmbedCatalogueInput, EmbedCatalogueOutput } from '../../contracts/workflows.ts';
import { FakeWorld } from '../support/fake-activities.ts';
import { openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeWorkers } from '../support/workers.ts';

let env: TemporalEnv;
let world: FakeWorld;
let workers: RunningWorker;
let counter = 0;

beforeAll(async () => {
  env = await openTemporalEnv('embed');
});
beforeEach(async () => {
  world = new FakeWorld();
  workers = await startFakeWorkers(env, world);
});
afterEach(async () => {
  world.stuck.clear();
  await workers.stop();
});
afterAll(() => env?.close());

async function start(change: Partial<EmbedCatalogueInput> = {}) {
  const input: EmbedCatalogueInput = {
    catalogue: 'shop',
    snapshot: 'snapshot-1',
    model: 'model-backbone',
    views: 1,
    ...change,
  };
  return env.client.workflow.start<(input: EmbedCatalogueInput) => Promise<EmbedCatalogueOutput>>(
    WORKFLOWS.embedCatalogue,
    { taskQueue: TASK_QUEUES.orchestrator, workflowId: `embed-${(counter += 1)}`, args: [input] },
  );
}
const chunks = (): number[] =>
  world.calls.filter(({ name }) => name === 'embedChunk').map(({ input }) => (input as { chunk: number }).chunk);

describe('embedCatalogue', () => {
  it('embeds each chunk once over several continued runs and carries its counters', async () => {
    world.numChunks = 25;
    const handle = await start({ chunksPerRun: 10 });
    const output = await handle.result();
    expect(chunks().sort((a, b) => a - b)).toEqual([...Array(25).keys()]);
    expect(output).toMatchObject({ numEmbedded: 100, numReused: 0, numRejected: 1, reused: false });
    expect(world.count('planEmbedding')).toBe(1);
    const { runId } = await handle.describe();
    expect(runId).not.toBe(handle.firstExecutionRunId);
  });

  it('keeps no more than its window in flight', async () => {
    world.numChunks = 30;
    world.stuck.add('embedChunk');
    const handle = await start();
    await vi.waitFor(() => expect(chunks()).toHaveLength(8), { timeout: 20_000, interval: 20 });
    const { raw } = await handle.describe();
    expect(raw.pendingActivities).toHaveLength(8);
    world.stuck.clear();
    await handle.result();
    expect(chunks()).toHaveLength(30);
  });

  it('finds a finished artefact without embedding anything', async () => {
    await (await start()).result();
    const before = chunks().length;
    expect(await (await start()).result()).toMatchObject({ reused: true, numEmbedded: 0, numReused: 14 });
    expect(chunks()).toHaveLength(before);
  });

  it('makes the features of a backbone first when a head is given none', async () => {
    const output = await (await start({ model: 'model-trained-1' })).result();
    expect(output).toMatchObject({
      embeddings: 'embeddings-model-trained-1-snapshot-1',
      numEmbedded: 14,
      numRejected: 1,
    });
    expect(chunks()).toHaveLength(3);
    expect(world.count('applyHead')).toBe(1);
  });
});
