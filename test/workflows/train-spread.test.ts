import { CancelledFailure, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { PART_SLOTS, TASK_QUEUES } from '../../contracts/queues.ts';
import type { DataParallelConfig } from '../../contracts/training.ts';
import { WORKFLOWS } from '../../contracts/workflows.ts';
import type { TrainInput, TrainOutput } from '../../contracts/workflows.ts';
import { liveTraining } from '../../infra/temporal/live-training.ts';
import { DATA_PARALLEL_DEFAULTS } from '../../infra/recipes/kind-defaults.ts';
import { FakeWorld, fakeActivities, retrainConfig } from '../support/fake-activities.ts';
import { bundled, openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeWorkers } from '../support/workers.ts';

let env: TemporalEnv;
let world: FakeWorld;
let workers: RunningWorker;
let workflowId: string;
let counter = 0;

const SOON = { timeout: 20_000, interval: 20 };
/** Losses are made good at once, as waiting is not what these tests are about. */
const lost = (): ApplicationFailure =>
  ApplicationFailure.create({
    message: 'The process was killed.',
    type: 'unavailable',
    nextRetryDelay: '1 millisecond',
  });

beforeAll(async () => {
  env = await openTemporalEnv('train-spread');
});
beforeEach(async () => {
  world = new FakeWorld();
  workflowId = `retrain/shop-${(counter += 1)}/train`;
  workers = await startFakeWorkers(env, world);
});
afterEach(() => workers.stop());
afterAll(() => env?.close());

function inputOf(spread: Partial<DataParallelConfig> = {}): TrainInput {
  const dataParallel: DataParallelConfig = { ...DATA_PARALLEL_DEFAULTS, ...spread };
  return {
    ...{ catalogue: 'shop', snapshot: 'snapshot-1', features: 'embeddings-1', backbone: 'model-backbone' },
    config: { ...retrainConfig.train, strategy: 'dataParallel', dataParallel },
  };
}

async function train(spread: Partial<DataParallelConfig> = {}, id = workflowId) {
  const handle = await env.client.workflow.start(WORKFLOWS.train, {
    taskQueue: TASK_QUEUES.orchestrator,
    workflowId: id,
    args: [inputOf(spread)],
  });
  return {
    handle,
    run: `${handle.firstExecutionRunId}/judged`,
    result: () => handle.result() as Promise<TrainOutput>,
    failure: async () => {
      const error: unknown = await handle.result().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(WorkflowFailedError);
      return (error as WorkflowFailedError).cause!;
    },
    currentDetails: async () => {
      const about = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
      return about.currentDetails;
    },
    numEvents: async (type: string) => {
      const { events } = await handle.fetchHistory();
      return events!.filter((event) => type in event && event[type as never] !== null).length;
    },
  };
}

const isComplete = (run: string, size: number) => () => expect(world.gang.alive.get(run)?.size).toBe(size);

describe('a training spread over processes', () => {
  it('is one activity per replica and shard, ends with the lead, and leaves nothing running', async () => {
    const run = await train({ replicas: 3, exchange: { kind: 'parameterServer', shards: 2 } });
    expect(await run.result()).toEqual({ model: 'model-trained-snapshot-1-1', reused: false, metrics: {} });
    expect(world.gang.numAlive()).toBe(0);
    expect(world.gang.starts.toSorted()).toEqual(
      ['parameters-0', 'parameters-1', 'replica-0', 'replica-1', 'replica-2'].map((part) => `${run.run}/${part}`),
    );
    expect(world.gang.forgotten).toEqual([run.run]);
    expect(world.count('trainHead')).toBe(0);
  });

  it('makes the second model with new parts of a run of its own', async () => {
    world.gang.twoStages = true;
    const run = await train();
    expect(await run.result()).toMatchObject({ model: 'model-trained-snapshot-1-1' });
    const runs = [run.run, run.run.replace(/judged$/, 'all')];
    expect(world.gang.forgotten).toEqual(runs);
    expect([...world.gang.steps.keys()]).toEqual(runs);
    expect(world.gang.starts).toHaveLength(8);
    expect(world.calls.filter(({ name }) => name === 'trainReplica').at(-1)!.input).toMatchObject({
      stage: { kind: 'all', judged: 'model-judged' },
    });
  });

  it.each([
    ['a shard, twice', 'parameters-1', [lost(), lost()]],
    ['a replica', 'replica-1', [lost()]],
    ['the lead', 'replica-0', [lost()]],
    ['a replica that falls silent', 'replica-1', ['silent' as const]],
    ['the lead, in silence', 'replica-0', ['silent' as const]],
  ])('goes on after the loss of %s, and its history is no longer for it', async (_, part, fates) => {
    world.gang.fates.set(part, [...fates]);
    const run = await train();
    await run.result();
    expect(world.gang.startsOf(part)).toBe(fates.length + 1);
    expect(world.gang.starts).toHaveLength(4 + fates.length);
    expect(world.gang.steps.get(run.run)).toBe(world.gang.numSteps);
    expect(await run.numEvents('activityTaskScheduledEventAttributes')).toBe(5);
    expect(await run.numEvents('workflowExecutionSignaledEventAttributes')).toBe(4);
  });

  it.each([
    ['a replica', 'replica-1', 'nonFinite'],
    ['the lead', 'replica-0', 'invalidInput'],
    ['a shard', 'parameters-0', 'nonFinite'],
  ])('fails at once, with the reason, when %s meets what trying again cannot help', async (_, part, code) => {
    world.gang.held = true;
    world.gang.fates.set(part, [
      ApplicationFailure.nonRetryable('Expected a finite gradient at step 3, got NaN.', code),
    ]);
    const run = await train();
    const failure = await run.failure();
    expect(failure.cause).toMatchObject({ type: code, message: 'Expected a finite gradient at step 3, got NaN.' });
    expect(world.gang.numAlive()).toBe(0);
    expect(world.gang.starts).toHaveLength(4);
    expect(world.gang.forgotten).toEqual([run.run]);
  });

  it('is given up in words once a part was lost too often', async () => {
    world.gang.held = true;
    world.gang.fates.set('replica-1', Array.from({ length: 50 }, lost));
    const run = await train();
    expect(await run.failure()).toMatchObject({
      type: 'unavailable',
      message: 'Replica 1 of 2 was started 50 times and lost each time; at last: The process was killed.',
    });
    expect(world.gang.numAlive()).toBe(0);
  });

  it('stops all parts on a cancel and waits for them', async () => {
    world.gang.held = true;
    const run = await train();
    await vi.waitFor(isComplete(run.run, 4), SOON);
    await run.handle.cancel();
    expect(await run.failure()).toBeInstanceOf(CancelledFailure);
    expect(world.gang.numAlive()).toBe(0);
    expect(world.gang.forgotten).toEqual([run.run]);
    expect(await run.numEvents('activityTaskCanceledEventAttributes')).toBe(4);
  });

  it('is cancelled also while nobody has taken its parts', async () => {
    await workers.stop();
    const lonely = await env.startWorker({
      taskQueue: TASK_QUEUES.orchestrator,
      activities: fakeActivities(world),
      ...bundled(),
    });
    const run = await train();
    await vi.waitFor(async () => expect(await run.numEvents('activityTaskScheduledEventAttributes')).toBe(4), SOON);
    await run.handle.cancel();
    expect(await run.failure()).toBeInstanceOf(CancelledFailure);
    expect(world.gang.starts).toEqual([]);
    await lonely.stop();
  });

  it('goes on with other trainers when those it runs on shut down, and says where it is', async () => {
    world.gang.held = true;
    const run = await train();
    await vi.waitFor(isComplete(run.run, 4), SOON);
    await vi.waitFor(async () => {
      const told = await run.currentDetails();
      expect(told).toContain('2 replicas over 2 parameter shards; in step; gradients in full.');
      expect(told).toContain('| replica 0, leads | `trainer-1` |');
      expect(told).toContain('| parameter shard 1 | `trainer-1` |');
    }, SOON);
    await workers.stop();
    expect(world.gang.numAlive()).toBe(0);
    world.gang.host = 'trainer-2';
    workers = await startFakeWorkers(env, world);
    await vi.waitFor(async () => {
      const told = await run.currentDetails();
      expect(told).toContain('| replica 1 | `trainer-2`, lost on `trainer-1` |');
      expect(told).toContain('On 1 trainer; a part that is lost goes on at any that lives.');
    }, SOON);
    world.gang.held = false;
    await run.result();
    expect(world.gang.starts).toHaveLength(8);
  });

  it('tells its progress from heartbeats: the lead’s figures, and each part', async () => {
    world.gang.held = true;
    world.gang.fates.set('replica-1', [lost()]);
    const run = await train();
    const live = await vi.waitFor(async () => {
      const seen = await liveTraining(env.client, workflowId);
      expect(seen?.parts?.map(({ step }) => step)).toEqual([4, 4, 4, 4]);
      expect(seen?.step).toBe(4);
      return seen!;
    }, SOON);
    expect(live).toMatchObject({ numSteps: 5, loss: 0.2, backend: 'fake' });
    for (const key of ['host', 'rank', 'bytesPerStep']) expect(live).not.toHaveProperty(key);
    expect(live.parts).toMatchObject([
      { role: 'replica', index: 0, host: 'trainer-1', attempt: 1, loss: 0.2, bytesPerStep: 80, note: null },
      { role: 'replica', index: 1, attempt: 2, staleness: [4], note: 'The process was killed.' },
      { role: 'parameters', index: 0, host: 'trainer-1', step: 4, attempt: 1 },
      { role: 'parameters', index: 1 },
    ]);
    world.gang.held = false;
    await run.result();
    expect(await liveTraining(env.client, workflowId)).toBeUndefined();
  });

  it('never waits for a slot that another run holds: many large runs share one small trainer', async () => {
    await workers.stop();
    const activities = fakeActivities(world);
    const trainer = [
      await env.startWorker({
        taskQueue: TASK_QUEUES.orchestrator,
        activities,
        ...bundled(),
      }),
      await env.startWorker({ taskQueue: TASK_QUEUES.replicas, activities, ...PART_SLOTS }),
      await env.startWorker({ taskQueue: TASK_QUEUES.parameters, activities, ...PART_SLOTS }),
    ];
    world.gang.held = true;
    const spread = { replicas: 16, exchange: { kind: 'parameterServer', shards: 4 } } as const;
    const runs = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => train(spread, `${workflowId}/${name}`)));
    for (const { run } of runs) await vi.waitFor(isComplete(run, 20), SOON);
    expect(world.gang.numAlive()).toBe(100);
    world.gang.held = false;
    await Promise.all(runs.map((run) => run.result()));
    expect(world.gang.numAlive()).toBe(0);
    await Promise.all(trainer.map((worker) => worker.stop()));
  });
});
