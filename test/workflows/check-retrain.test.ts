import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CheckRetrainOutput, RetrainRule } from '../../contracts/schedules.ts';
import { workflowIds } from '../../contracts/workflows.ts';
import { loadConfig } from '../../infra/config/env.ts';
import { startRetrain } from '../../infra/temporal/retrain-client.ts';
import {
  deleteSchedule,
  listSchedules,
  pauseSchedule,
  resumeSchedule,
  setSchedule,
  triggerSchedule,
} from '../../infra/temporal/schedule-client.ts';
import { FakeWorld, retrainConfig } from '../support/fake-activities.ts';
import { openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeWorkers } from '../support/workers.ts';

const HOUR = 3_600_000;
const soon = { timeout: 20_000, interval: 50 };
const appConfig = loadConfig({});
let env: TemporalEnv;
let world: FakeWorld;
let workers: RunningWorker;
let catalogue: string;
let counter = 0;

beforeAll(async () => {
  env = await openTemporalEnv('schedules');
});
beforeEach(async () => {
  world = new FakeWorld();
  world.schedules.startRetrain = (input) => startRetrain(env.client, input);
  catalogue = `shop-${(counter += 1)}`;
  workers = await startFakeWorkers(env, world);
});
afterEach(async () => {
  world.stuck.clear();
  for (const { rule } of await schedules()) await deleteSchedule(env.client, catalogue, rule.trigger);
  await workers.stop();
});
afterAll(() => env?.close());

const schedules = () => listSchedules(env.client, appConfig, catalogue);
const set = (rule: RetrainRule) => setSchedule(env.client, { catalogue, rule, config: retrainConfig });

/** Lets the schedule look, and waits for what it found. */
async function look(rule: RetrainRule): Promise<CheckRetrainOutput> {
  const { id } = await set(rule);
  const handle = env.client.schedule.getHandle(id);
  const before = (await handle.describe()).info.recentActions.length;
  await triggerSchedule(env.client, catalogue, rule.trigger);
  const run = await vi.waitFor(async () => {
    const { recentActions } = (await handle.describe()).info;
    expect(recentActions.length).toBeGreaterThan(before);
    return recentActions.at(-1)!.action.workflow;
  }, soon);
  expect(run.workflowId).toMatch(new RegExp(`^check/${catalogue}/${rule.trigger}-20`));
  return env.client.workflow.getHandle(run.workflowId).result() as Promise<CheckRetrainOutput>;
}

describe('schedules', () => {
  it.each<[RetrainRule, RegExp]>([
    [{ trigger: 'cron', cron: '0 3 * * *' }, /^At 0 3/],
    [{ trigger: 'changes', numChanges: 3, checkEveryMs: HOUR }, /^3 changes since generation 1/],
    [{ trigger: 'drift', maxDrop: 0.1, checkEveryMs: HOUR }, /drop 0\.2000/],
  ])('start a run when %o is due, which names the schedule and why', async (rule, why) => {
    Object.assign(world.schedules.changes, { added: 2, changed: 1 });
    world.schedules.drift.recent = 0.6;
    const found = await look(rule);
    expect(found).toMatchObject({ outcome: 'started', workflowId: `retrain/${catalogue}` });
    expect(found.reason).toMatch(why);
    await env.client.workflow.getHandle(found.workflowId!, found.runId!).result();
    const order = { trigger: rule.trigger, by: workflowIds.schedule(catalogue, rule.trigger), reason: found.reason };
    expect(world.generations).toMatchObject([{ status: 'serving', order }]);
    expect(world.count('measureDrift')).toBe(rule.trigger === 'drift' ? 1 : 0);
  });

  it('start nothing when nothing is due, and say why', async () => {
    world.schedules.changes.added = 2;
    expect(await look({ trigger: 'changes', numChanges: 3, checkEveryMs: HOUR })).toEqual({
      ...{ outcome: 'notDue', workflowId: null, runId: null },
      reason: '2 changes since generation 1 (2 added, 0 changed, 0 removed), 3 are asked for.',
    });
    expect(world.count('startDueRetrain')).toBe(0);
  });

  it('leave a run alone that is under way, and say so', async () => {
    world.stuck.add('trainHead');
    const run = await startRetrain(env.client, { catalogue, config: retrainConfig, force: false });
    const found = await look({ trigger: 'cron', cron: '0 3 * * *' });
    expect(found).toMatchObject({ outcome: 'alreadyRunning', runId: run.runId });
    expect(found.reason).toMatch(/A run is under way already/);
    world.stuck.clear();
    await env.client.workflow.getHandle(run.workflowId, run.runId).result();
    expect(world.generations).toHaveLength(1);
  });

  it('look by themselves, and again', async () => {
    await set({ trigger: 'changes', numChanges: 3, checkEveryMs: 1000 });
    await vi.waitFor(() => expect(world.count('measureChanges')).toBeGreaterThan(1), soon);
    world.schedules.changes.added = 3;
    await vi.waitFor(() => expect(world.serving).toBeDefined(), soon);
  });

  it('are listed with what they do next, changed in place, paused, resumed and deleted', async () => {
    expect(await set({ trigger: 'cron', cron: '0 3 * * *', timeZone: 'Europe/Berlin' })).toMatchObject({
      created: true,
    });
    expect(await set({ trigger: 'drift', maxDrop: 0.1, checkEveryMs: HOUR })).toMatchObject({ created: true });
    const next = expect.stringMatching(/^20/) as string;
    expect(await schedules()).toMatchObject([
      {
        catalogue,
        rule: { trigger: 'cron', timeZone: 'Europe/Berlin' },
        recipe: 'fake',
        paused: false,
        nextCheck: next,
      },
      { rule: { trigger: 'drift', maxDrop: 0.1 }, lastCheck: null },
    ]);
    await pauseSchedule(env.client, catalogue, 'cron', 'Paused by ann.');
    expect(await set({ trigger: 'cron', cron: '30 4 * * 1-5' })).toMatchObject({ created: false });
    expect((await schedules())[0]).toMatchObject({
      rule: { cron: '30 4 * * 1-5' },
      paused: true,
      note: 'Paused by ann.',
    });
    await resumeSchedule(env.client, catalogue, 'cron', 'Resumed by ann.');
    expect((await schedules())[0]).toMatchObject({ paused: false });
    await vi.waitFor(async () => {
      const all = await listSchedules(env.client, appConfig);
      expect(all.filter((one) => one.catalogue === catalogue)).toHaveLength(2);
    }, soon);
    await deleteSchedule(env.client, catalogue, 'cron');
    await deleteSchedule(env.client, catalogue, 'drift');
    expect(await schedules()).toEqual([]);
    for (const act of [deleteSchedule, triggerSchedule]) {
      await expect(act(env.client, catalogue, 'cron')).rejects.toMatchObject({ code: 'notFound' });
    }
  });

  it('refuse what the server cannot read, in words', async () => {
    for (const rule of [
      { trigger: 'cron', cron: 'every tuesday' },
      { trigger: 'cron', cron: '0 3 * * *', timeZone: 'Atlantis/Capital' },
    ] as const) {
      await expect(set(rule)).rejects.toMatchObject({
        code: 'invalidInput',
        message: expect.stringContaining(rule.cron) as string,
      });
    }
    await set({ trigger: 'cron', cron: '0 3 * * *' });
    await expect(set({ trigger: 'cron', cron: 'every tuesday' })).rejects.toMatchObject({ code: 'invalidInput' });
  });
});
