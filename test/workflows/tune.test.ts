import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import type { TuneConfig, TuneInput, TuneOutput, TuneView } from '../../contracts/tuning.ts';
import { TUNE_STATE } from '../../contracts/tuning.ts';
import { WORKFLOWS } from '../../contracts/workflows.ts';
import { MAX_TRIAL_ATTEMPTS } from '../../workflows/activity-options.ts';
import { FakeWorld, fakeActivities, retrainConfig } from '../support/fake-activities.ts';
import { runsOf } from '../support/short-histories.ts';
import { bundled, openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeWorkers } from '../support/workers.ts';

let env: TemporalEnv;
let world: FakeWorld;
let workers: RunningWorker;
let counter = 0;

const SOON = { timeout: 20_000, interval: 20 };
/** Losses are made good at once, as waiting is not what these tests are about. */
const lost = (): ApplicationFailure =>
  ApplicationFailure.create({
    message: 'The process was killed.',
    type: 'unavailable',
    nextRetryDelay: '1 millisecond',
  });

/** Six trials, `dim` 1 to 6, the last the best; nine epochs with rungs of 1, 3 and 9. */
const config: TuneConfig = {
  base: { ...retrainConfig, train: { ...retrainConfig.train, epochs: 9 } },
  space: { 'train.dim': { kind: 'choice', values: [1, 2, 3, 4, 5, 6] } },
  search: { kind: 'grid', points: 1 },
  scheduler: { kind: 'hyperband', eta: 3 },
  ...{ numTrials: 6, concurrency: 2, retries: 1, seed: 1 },
};

beforeAll(async () => {
  env = await openTemporalEnv('tune');
});
beforeEach(async () => {
  world = new FakeWorld();
  workers = await startFakeWorkers(env, world);
});
afterEach(async () => {
  world.trials.isHeld = () => false;
  await workers.stop();
});
afterAll(() => env?.close());

async function start(change: Partial<TuneConfig> = {}, input: Partial<TuneInput> = {}) {
  const workflowId = `tune/shop-${(counter += 1)}`;
  const handle = await env.client.workflow.start<(input: TuneInput) => Promise<TuneOutput>>(WORKFLOWS.tune, {
    ...{ workflowId, taskQueue: TASK_QUEUES.orchestrator },
    args: [{ catalogue: 'shop', config: { ...config, ...change }, lookEveryMs: 50, ...input }],
  });
  const view = () => env.client.workflow.getHandle(workflowId).query<TuneView>(TUNE_STATE);
  return { handle, workflowId, view, result: () => handle.result() };
}

const statuses = ({ trials }: TuneOutput): string[] => trials.map(({ status }) => status);

describe('tune', () => {
  it('trains as its scheduler says, and ends with the best trial, its model and everything as an artefact', async () => {
    const run = await start();
    const output = await run.result();
    expect(output).toMatchObject({ outcome: 'finished', tuning: 'tuning-1', snapshot: 'snapshot-1' });
    expect(statuses(output)).toEqual(['stopped', 'stopped', 'stopped', 'stopped', 'stopped', 'done']);
    expect(output.best).toMatchObject({ trial: 5, params: { 'train.dim': 6 }, epochs: 9 });
    expect(output.best.value).toBeCloseTo(0.0609, 10);
    // The whole configuration, and the model that a retrain with it finds.
    expect(output.best.config).toEqual({ ...config.base, train: { ...config.base.train, dim: 6 } });
    expect(output.best.model).toBe('model-trained-snapshot-1-1');
    expect(world.trials.published).toMatchObject([{ outcome: 'finished', trials: Array<object>(6).fill({}) }]);
    expect(world.count('trainHead')).toBe(1);
    expect(world.count('ensureBackbone')).toBe(1);
    expect(await run.view()).toMatchObject({ best: 5, numTrials: 6, scheduler: 'hyperband', trials: { length: 6 } });
    const { searchAttributes, typedSearchAttributes } = await run.handle.describe();
    expect(searchAttributes ?? typedSearchAttributes).toMatchObject({ LookalikeStatus: ['done'] });
  });

  it('lets a promoted trial go on from its checkpoint: no epoch is trained twice', async () => {
    await (await start({ scheduler: { kind: 'asha', minEpochs: 1, eta: 3 } })).result();
    expect(world.trials.repeated()).toEqual([]);
    expect(world.trials.epochsOf(6)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(world.calls.filter(({ name }) => name === 'trainTrial').length).toBeGreaterThan(6);
  });

  it('lets the worst of a population go on from the checkpoint of the best, with other values', async () => {
    const output = await (
      await start({
        space: { 'train.featureDropout': { kind: 'float', low: 0, high: 1, scale: 'linear' } },
        search: { kind: 'random' },
        scheduler: { kind: 'pbt', every: 3, quantile: 0.25 },
        numTrials: 4,
      })
    ).result();
    expect(statuses(output)).toEqual(['done', 'done', 'done', 'done']);
    const copies = world.trials.trained.filter(({ origin }) => origin !== undefined);
    // The same one after 3 epochs and after 6, from the best each time: three epochs each, none of those before.
    expect(copies.map(({ epoch }) => epoch).sort()).toEqual([4, 5, 6, 7, 8, 9]);
    expect(new Set(copies.map(({ origin }) => origin)).size).toBe(2);
    expect(world.trials.repeated()).toEqual([]);
  });

  it('tries a lost trial again where it was, then marks what keeps failing and leaves it; the others go on', async () => {
    world.trials.fates.set(2, Array.from({ length: MAX_TRIAL_ATTEMPTS + 1 }, lost));
    world.trials.objective = ({ dim }) => 1 / dim;
    world.trials.fates.set(1, Array.from({ length: 2 * MAX_TRIAL_ATTEMPTS }, lost));
    const deadly = ApplicationFailure.nonRetryable('Expected a finite loss at step 3, got NaN.', 'nonFinite');
    world.trials.fates.set(3, [deadly]);
    const base = { ...config.base, train: { ...config.base.train, epochs: 20 } };
    const output = await (await start({ base, scheduler: { kind: 'none' }, numTrials: 4, concurrency: 4 })).result();
    expect(statuses(output)).toEqual(['failed', 'done', 'failed', 'done']);
    expect(output.trials).toMatchObject([
      { failures: 2, reason: 'The process was killed.' },
      { failures: 1 },
      { failures: 1, reason: 'Expected a finite loss at step 3, got NaN.' },
      { failures: 0 },
    ]);
    expect(output.best.trial).toBe(1);
    expect(world.trials.repeated()).toEqual([]);
    expect(world.trials.epochsOf(2)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('marks values that contradict each other without asking a trainer', async () => {
    const space: TuneConfig['space'] = { 'train.dim': { kind: 'choice', values: [0, 1] } };
    const output = await (await start({ space })).result();
    expect(output.trials).toMatchObject([{ status: 'failed', reason: 'Expected dim >= 1.' }, { status: 'done' }]);
    expect(world.trials.epochsOf(0)).toEqual([]);
  });

  it('fails with the reason when every trial fails', async () => {
    const space: TuneConfig['space'] = { 'train.dim': { kind: 'choice', values: [0, -1] } };
    await expect((await start({ space })).result()).rejects.toMatchObject({
      cause: { type: 'invalidInput', message: expect.stringContaining('all 2 failed: Expected dim >= 1.') as string },
    });
  });

  it('stops on a cancel, and keeps the best so far', async () => {
    world.trials.isHeld = ({ untilEpoch, train }) => untilEpoch > 1 && train.config.dim === 6;
    const run = await start();
    await expect.poll(() => world.trials.trained.length, SOON).toBeGreaterThanOrEqual(6);
    await expect.poll(async () => (await run.view()).trials[5]?.untilEpoch, SOON).toBe(3);
    await run.handle.cancel();
    const output = await run.result();
    expect(output).toMatchObject({ outcome: 'cancelled', best: { trial: 5, epochs: 1, model: null } });
    expect(output.best.config.train.dim).toBe(6);
    expect(output.trials.filter(({ status }) => status === 'running' || status === 'paused')).toEqual([]);
    expect(world.trials.published).toMatchObject([{ outcome: 'cancelled' }]);
    expect(world.trials.running).toBe(0);
    expect(world.count('trainHead')).toBe(0);
  });

  it('keeps the best also when the cancel comes while its second model is trained', async () => {
    world.stuck.add('trainHead');
    const run = await start();
    await expect.poll(() => world.count('trainHead'), SOON).toBe(1);
    await run.handle.cancel();
    expect(await run.result()).toMatchObject({
      ...{ outcome: 'cancelled', best: { trial: 5, epochs: 9, model: 'model-trial-6' } },
    });
  });

  it('ends as cancelled when nothing was reported yet', async () => {
    world.trials.isHeld = () => true;
    const run = await start();
    await expect.poll(() => world.trials.running, SOON).toBeGreaterThan(0);
    await run.handle.cancel();
    await expect(run.result()).rejects.toThrow();
    expect((await run.handle.describe()).status.name).toBe('CANCELLED');
    expect(world.trials.published).toEqual([]);
    expect(world.trials.running).toBe(0);
  });

  it('runs as many trials at once as trainers live, never more than it may', async () => {
    world.trials.trainers = 1;
    world.trials.isHeld = () => true;
    const run = await start({ concurrency: 4, scheduler: { kind: 'none' } });
    for (const [trainers, width] of [
      [1, 1],
      [3, 3],
      [10, 4],
    ] as const) {
      world.trials.trainers = trainers;
      await expect.poll(() => run.view(), SOON).toMatchObject({ trainers, width });
      await expect.poll(() => world.trials.running, SOON).toBe(width);
    }
    world.trials.trainers = 0;
    // One waits for a trainer to come.
    await expect.poll(() => run.view(), SOON).toMatchObject({ trainers: 0, width: 1 });
    world.trials.isHeld = () => false;
    expect(statuses(await run.result())).toEqual(Array<string>(6).fill('done'));
    expect(world.trials.runningAtStarts).toEqual([1, 2, 3, 4, 1, 1]);
  });

  it('carries everything over when it continues as new in the middle, and decides as if it had not', async () => {
    const whole = await (await start({ concurrency: 1 })).result();
    const trained = world.trials.trained;
    await workers.stop();
    world = new FakeWorld();
    workers = await startFakeWorkers(env, world);
    const run = await start({ concurrency: 1 }, { rungsPerRun: 2 });
    expect((await run.result()).trials).toEqual(whole.trials);
    expect(world.trials.trained).toEqual(trained);
    // Nine rungs: six of one epoch, two of three, one of nine.
    expect(await runsOf(env.client, run.workflowId)).toHaveLength(5);
    for (const once of ['takeSnapshot', 'ensureBackbone', 'publishTuning'] as const) expect(world.count(once)).toBe(1);
  });

  it('repeats no rung when its orchestrator goes away in the middle', async () => {
    await workers.stop();
    // Trainers and orchestrators of their own, so that one kind can go.
    const activities = fakeActivities(world);
    const others = await Promise.all(
      Object.values(TASK_QUEUES)
        .filter((queue) => queue !== TASK_QUEUES.orchestrator)
        .map((taskQueue) => env.startWorker({ taskQueue, activities })),
    );
    const orchestrator = () => env.startWorker({ taskQueue: TASK_QUEUES.orchestrator, activities, ...bundled() });
    let one = await orchestrator();
    world.trials.isHeld = ({ untilEpoch }) => untilEpoch === 3;
    const run = await start({}, { rungsPerRun: 100 });
    await expect.poll(() => world.trials.running, SOON).toBeGreaterThan(0);
    await one.stop();
    // A rung ends while nobody is there to hear of it.
    world.trials.isHeld = ({ untilEpoch }) => untilEpoch === 9;
    await expect.poll(() => world.trials.running, SOON).toBe(0);
    one = await orchestrator();
    await expect.poll(() => world.trials.running, SOON).toBeGreaterThan(0);
    await one.stop();
    one = await orchestrator();
    world.trials.isHeld = () => false;
    expect(statuses(await run.result()).filter((status) => status === 'done')).toHaveLength(1);
    expect(world.trials.repeated()).toEqual([]);
    const rungs = world.calls.filter(({ name }) => name === 'trainTrial').map(({ input }) => JSON.stringify(input));
    expect(new Set(rungs).size).toBe(rungs.length);
    await Promise.all([one, ...others].map((worker) => worker.stop()));
  });
});
