import { CancelledFailure, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import type { RetrainInput, TrainInput } from '../../contracts/workflows.ts';
import { FINETUNE_DEFAULTS } from '../../infra/recipes/finetune-defaults.ts';
import { DATA_PARALLEL_DEFAULTS } from '../../infra/recipes/kind-defaults.ts';
import {
  cancelRetrain,
  describeRetrain,
  retrainProgress,
  retrainResult,
  startRetrain,
} from '../../infra/temporal/retrain-client.ts';
import { listWorkflows } from '../../infra/temporal/workflow-list.ts';
import { FakeWorld, fakeActivities, retrainConfig } from '../support/fake-activities.ts';
import type { ActivityName } from '../support/fake-activities.ts';
import { bundled, openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeWorkers } from '../support/workers.ts';

let env: TemporalEnv;
let world: FakeWorld;
let workers: RunningWorker;
let catalogue: string;
let counter = 0;

beforeAll(async () => {
  env = await openTemporalEnv('retrain');
});
beforeEach(async () => {
  world = new FakeWorld();
  catalogue = `shop-${(counter += 1)}`;
  workers = await startFakeWorkers(env, world);
});
afterEach(async () => {
  world.stuck.clear();
  await workers.stop();
});
afterAll(() => env?.close());

async function retrain(change: Partial<RetrainInput> = {}) {
  const started = await startRetrain(env.client, { catalogue, config: retrainConfig, force: false, ...change });
  return { ...started, result: () => retrainResult(env.client, started.workflowId, started.runId) };
}

describe('retrain', () => {
  it('makes a generation from snapshot to serving, each step once', async () => {
    const run = await retrain();
    const output = await run.result();
    expect(output).toMatchObject({ outcome: 'serving', generation: 1, reasons: [], reused: [], indexRecall: 0.99 });
    expect(output.quality).toMatchObject({ candidate: { recall: { 1: 0.8 } }, serving: null });
    expect(world.generations).toMatchObject([{ status: 'serving', model: output.model, index: output.index }]);
    for (const name of ['takeSnapshot', 'trainHead', 'publishIndex', 'serveGeneration'] as const) {
      expect([name, world.count(name)]).toEqual([name, 1]);
    }
    const { steps } = await retrainProgress(env.client, run.workflowId);
    expect(steps.map(({ status }) => status)).toEqual(Array(8).fill('done'));
  });

  it('resolves an index that is chosen by measuring once, before any shard is built, and names the choice', async () => {
    const index = { kind: 'auto', metric: 'cosine', recall: 0.95, maxBytes: 0, seed: 1 } as const;
    const output = await (await retrain({ config: { ...retrainConfig, index } })).result();
    expect(output).toMatchObject({ outcome: 'serving' });
    expect(world.count('chooseIndex')).toBe(1);
    const built = world.calls.filter(({ name }) => name === 'buildShard' || name === 'publishIndex');
    expect(built.length).toBeGreaterThan(1);
    for (const { input } of built) expect(input).toMatchObject({ spec: { kind: 'ivf', nprobe: 2 } });
    expect(built.at(-1)!.input).toMatchObject({ choice: expect.stringMatching(/^indexChoice-/) as string });
    expect(world.names().indexOf('chooseIndex')).toBeLessThan(world.names().indexOf('buildShard'));
  });

  it('fine-tunes the backbone where that is asked for, and does all that follows with the new one', async () => {
    const config = { ...retrainConfig, finetune: FINETUNE_DEFAULTS };
    const output = await (await retrain({ config })).result();
    expect(output).toMatchObject({ outcome: 'serving' });
    expect(world.count('finetuneBackbone')).toBe(1);
    const inputOf = (name: ActivityName): unknown => world.calls.find((call) => call.name === name)?.input;
    const { backbone } = inputOf('trainHead') as TrainInput;
    expect(backbone).toBe(`model-backbone-tuned-${world.snapshot}-${FINETUNE_DEFAULTS.seed}`);
    expect(inputOf('planEmbedding')).toMatchObject({ model: backbone });
    const again = await (await retrain({ config })).result();
    expect(again.reused).toContain('finetune');
  });

  it('finds everything made when nothing changed, and reuses the serving generation', async () => {
    const first = await (await retrain()).result();
    const second = await (await retrain()).result();
    expect(second).toMatchObject({ outcome: 'serving', generation: first.generation, index: first.index });
    expect(second.reused).toEqual(['snapshot', 'backbone', 'features', 'train', 'evaluate', 'embed', 'index', 'serve']);
    expect(world.generations).toHaveLength(1);
  });

  it('computes all views of a catalogue without labels for a head that learns from views', async () => {
    world.untrained = { atSnapshot: 'No labels.' };
    const config = { ...retrainConfig, train: { ...retrainConfig.train, supervision: 'views' as const } };
    const output = await (await retrain({ config })).result();
    expect(output).toMatchObject({ outcome: 'serving', model: `model-trained-${world.snapshot}-1` });
    const planned = world.calls.find(({ name }) => name === 'planEmbedding')!;
    expect(planned.input).toMatchObject({ views: retrainConfig.views });
  });

  it.each([
    ['known from the snapshot on', 'No labels.', 1],
    ['known once pictures could not be read', undefined, retrainConfig.views],
  ])('serves the untrained model where nothing can be learnt, %s, and says why', async (_, atSnapshot, views) => {
    world.untrained = { ...(atSnapshot !== undefined && { atSnapshot }), atTraining: 'No labels.' };
    const run = await retrain();
    const output = await run.result();
    expect(output).toMatchObject({ outcome: 'serving', model: 'model-pretrained', untrained: 'No labels.' });
    expect(output.reasons).toEqual([expect.stringContaining('Not judged')]);
    expect(output.quality.candidate).toEqual({ numQueries: 0, numCatalogue: 0, recall: {}, mAP: null });
    expect(world.generations).toMatchObject([{ status: 'serving', model: output.model, untrained: 'No labels.' }]);
    expect(world.calls.find(({ name }) => name === 'planEmbedding')?.input).toMatchObject({ views });
    const { steps } = await retrainProgress(env.client, run.workflowId);
    const detailOf = (step: string) => steps.find(({ name }) => name === step)!.detail;
    expect(detailOf('snapshot').includes('No labels.')).toBe(atSnapshot !== undefined);
    expect(detailOf('train')).toBe('Not trained: `model-pretrained` is the untrained model. No labels.');
    expect(detailOf('evaluate')).toMatch(/^Not judged/);

    expect(await (await retrain()).result()).toMatchObject({
      generation: 1,
      untrained: 'No labels.',
      reused: steps.map(({ name }) => name),
    });
    world.untrained = {};
    world.snapshot = 'snapshot-with-labels';
    const trained = await (await retrain()).result();
    expect(trained).toMatchObject({ outcome: 'serving', generation: 2, model: 'model-trained-snapshot-with-labels-1' });
    expect(trained).not.toHaveProperty('untrained');

    // The labels are gone again: what was learnt from them is not thrown away unasked.
    world.untrained = { atSnapshot: 'No labels.', atTraining: 'No labels.' };
    world.snapshot = 'snapshot-without-labels';
    const lost = await (await retrain()).result();
    expect(lost).toMatchObject({ outcome: 'rejected' });
    expect(lost.reasons[0]).toMatch(/would replace the trained one/);
    expect(world.serving).toMatchObject({ number: 2 });
  });

  it('makes a new generation when the same inputs give another index', async () => {
    await (await retrain()).result();
    world.made.clear();
    world.generations[0]!.index = 'index-of-other-code';
    expect(await (await retrain()).result()).toMatchObject({ generation: 2 });
    expect(world.generations.map(({ status }) => status)).toEqual(['retired', 'serving']);
  });

  it('refuses a candidate below the serving model and leaves that one serving', async () => {
    await (await retrain()).result();
    world.snapshot = 'snapshot-2';
    world.recall['model-trained-snapshot-2-1'] = 0.7;
    const output = await (await retrain()).result();
    expect(output).toMatchObject({ outcome: 'rejected', index: null, generation: 2 });
    expect(output.reasons[0]).toMatch(/at least 0\.7800 .*serving model 0\.8000.*got 0\.7000/);
    expect(world.generations.map(({ status }) => status)).toEqual(['serving', 'rejected']);
    expect(world.count('serveGeneration')).toBe(1);
    expect(world.count('publishIndex')).toBe(1);
  });

  it('compares query by query on enough queries, and names the comparison in the generation', async () => {
    Object.assign(world, { numQueries: 200 });
    await (await retrain()).result();
    expect(world.generations[0]).toMatchObject({ comparison: expect.stringMatching(/^comparison-/) as string });
    world.snapshot = 'snapshot-2';
    world.recall['model-trained-snapshot-2-1'] = 0.77;
    const gate = { ...retrainConfig.gate, significance: 0.05, categoryQueries: 20 };
    const output = await (await retrain({ config: { ...retrainConfig, gate } })).result();
    expect(output).toMatchObject({ outcome: 'rejected' });
    // Six of the answers the serving model gave are gone and none is new: no accident.
    expect(output.reasons[0]).toMatch(/got 0\.7700 on 200 queries: 6 lost, 0 won, p = 0\.016/);
    expect(output.reasons[1]).toMatch(/"shoe" fell from 0\.8000 to 0\.7700/);
    const compared = world.calls.filter(({ name }) => name === 'compareModels').map(({ input }) => input);
    expect(compared[1]).toMatchObject({
      serving: expect.stringMatching(/^evaluation-/) as string,
      categoryQueries: 20,
    });
  });

  it('serves a refused candidate when forced, and records that it was, by whom and why', async () => {
    world.recall = { trained: 0.1, pretrained: 0.5 };
    const order = { trigger: 'request', by: 'ann', reason: 'the old one is worse for coats' } as const;
    const output = await (await retrain({ force: true, order })).result();
    expect(world.generations[0]).toMatchObject({
      order,
      override: { by: 'ann', reason: order.reason, at: expect.stringMatching(/^20..-/) as string },
    });
    expect(output).toMatchObject({ outcome: 'serving' });
    expect(output.reasons.join(' ')).toMatch(/untrained model 0\.5000.*forced/);
    expect(world.generations[0]).toMatchObject({ status: 'serving', reasons: output.reasons });
  });

  it('marks its generation failed, in words, when a step fails for good', async () => {
    world.failing.set('publishIndex', ApplicationFailure.nonRetryable('Expected recall 0.9, got 0.5.', 'gateRejected'));
    const error = await (await retrain()).result().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WorkflowFailedError);
    expect((error as WorkflowFailedError).cause).toMatchObject({
      type: 'gateRejected',
      message: 'Expected recall 0.9, got 0.5.',
    });
    expect(world.generations).toMatchObject([{ status: 'failed', reasons: ['Expected recall 0.9, got 0.5.'] }]);
    expect(world.count('serveGeneration')).toBe(0);
  });

  it.each<ActivityName>([
    'takeSnapshot',
    'openGeneration',
    'ensureBackbone',
    'ensurePretrained',
    'finetuneBackbone',
    'planEmbedding',
    'embedChunk',
    'assembleEmbeddings',
    'trainHead',
    'recordGeneration',
    'evaluateModel',
    'describeModel',
    'compareModels',
    'applyHead',
    'chooseIndex',
    'buildShard',
    'publishIndex',
  ])('stops on a cancel during %s and changes nothing that serves', async (step) => {
    await (await retrain()).result();
    const before = { ...world.serving! };
    world.snapshot = 'snapshot-2';
    world.calls.length = 0;
    world.stuck.add(step);
    const index = { kind: 'auto', metric: 'cosine', recall: 0.95, maxBytes: 0, seed: 1 } as const;
    const config = { ...retrainConfig, finetune: FINETUNE_DEFAULTS, index };
    const run = await retrain({ config });
    await vi.waitFor(() => expect(world.names()).toContain(step), { timeout: 20_000, interval: 20 });
    await cancelRetrain(env.client, run.workflowId);
    // What a cancelled run writes down of itself must get through.
    if (step === 'recordGeneration') world.stuck.clear();
    const error = await run.result().catch((reason: unknown) => reason);
    expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
    expect(world.serving).toEqual(before);
    expect(world.count('serveGeneration')).toBe(0);
    const isOpen = step !== 'takeSnapshot' && step !== 'openGeneration';
    const expected = isOpen ? [{ status: 'failed', reasons: ['Cancelled on request.'] }] : [];
    expect(world.generations.slice(1)).toMatchObject(expected);

    world.stuck.clear();
    expect(await (await retrain({ config })).result()).toMatchObject({ outcome: 'serving' });
  });

  it('stops on a cancel while several processes train and changes nothing that serves', async () => {
    await (await retrain()).result();
    const before = { ...world.serving! };
    world.snapshot = 'snapshot-2';
    world.gang.held = true;
    const train = { ...retrainConfig.train, strategy: 'dataParallel', dataParallel: DATA_PARALLEL_DEFAULTS } as const;
    const run = await retrain({ config: { ...retrainConfig, train } });
    await vi.waitFor(() => expect([...world.gang.alive.values()].some(({ size }) => size === 4)).toBe(true), {
      timeout: 20_000,
      interval: 20,
    });
    await cancelRetrain(env.client, run.workflowId);
    const error = await run.result().catch((reason: unknown) => reason);
    expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
    expect([world.serving, world.generations.at(-1)]).toMatchObject([before, { status: 'failed' }]);
  });

  it('completes when the cancel comes during the switch', async () => {
    world.stuck.add('serveGeneration');
    const run = await retrain();
    await vi.waitFor(() => expect(world.names()).toContain('serveGeneration'), { timeout: 20_000, interval: 20 });
    await cancelRetrain(env.client, run.workflowId);
    world.stuck.delete('serveGeneration');
    expect(await run.result()).toMatchObject({ outcome: 'serving' });
    expect(world.generations).toMatchObject([{ status: 'serving' }]);
  });

  it('goes on with new workers where the old ones stopped', async () => {
    world.stuck.add('trainHead');
    const run = await retrain();
    await vi.waitFor(() => expect(world.names()).toContain('trainHead'), { timeout: 20_000, interval: 20 });
    await workers.stop();
    world.stuck.delete('trainHead');
    const before = world.count('planEmbedding');
    workers = await startFakeWorkers(env, world);
    expect(await run.result()).toMatchObject({ outcome: 'serving' });
    expect(world.count('takeSnapshot')).toBe(1);
    expect(world.count('trainHead')).toBe(2);
    expect(world.count('planEmbedding')).toBe(before);
  });

  it('joins the run that already goes on', async () => {
    world.stuck.add('takeSnapshot');
    const run = await retrain();
    const again = await retrain();
    expect(again).toMatchObject({ runId: run.runId, started: false });
    expect(run.started).toBe(true);
    world.stuck.clear();
    await run.result();
  });

  it('is found by catalogue with its state, and says when it is unknown', async () => {
    await (await retrain()).result();
    const runs = await vi.waitFor(
      async () => {
        const found = await listWorkflows(env.client, { catalogue, kind: 'retrain', limit: 5 });
        expect(found).toMatchObject([{ status: 'COMPLETED', outcome: 'serving', generation: '1' }]);
        return found;
      },
      { timeout: 10_000, interval: 100 },
    );
    expect(runs[0]).toMatchObject({ kind: 'retrain', catalogue });
    await expect(describeRetrain(env.client, 'retrain/nothing')).rejects.toMatchObject({ code: 'notFound' });
  });

  it('refuses a payload above the limit where it is made', async () => {
    const config = { ...retrainConfig, recipe: 'x'.repeat(70_000) };
    await expect(retrain({ config })).rejects.toThrow(/at most 65536 bytes, got/);
  });

  it('fails a step whose result is above the limit instead of hanging', async () => {
    await workers.stop();
    const activities = { ...fakeActivities(world), takeSnapshot: async () => ({ artifact: 'x'.repeat(70_000) }) };
    const worker = await env.startWorker({
      taskQueue: TASK_QUEUES.orchestrator,
      activities,
      ...bundled(),
    });
    const error = await (await retrain()).result().catch((reason: unknown) => reason);
    await worker.stop();
    expect((error as WorkflowFailedError).cause).toMatchObject({ type: 'invalidInput' });
  });
});
