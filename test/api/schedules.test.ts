import { afterEach, describe, expect, it, vi } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import type { Scheduler } from '../../api/ports.ts';
import { ScheduleListDto } from '../../api/schedules/schedules.dto.ts';
import type { RetrainSchedule } from '../../contracts/schedules.ts';
import { READ_KEY, WRITE_KEY, World, fruitsAndCars, strict } from './fakes.ts';

const schedule: RetrainSchedule = {
  ...{ id: 'schedule/shop/changes', catalogue: 'shop', recipe: 'default', paused: false, note: null },
  rule: { trigger: 'changes', numChanges: 5, checkEveryMs: 600_000 },
  ...{ nextCheck: '2026-01-01T00:00:00.000Z', lastCheck: null, temporalUrl: 'http://127.0.0.1:8233/x' },
};
let app: NestFastifyApplication;
afterEach(() => app.close());

async function begin(methods: Partial<Scheduler>, auth: 'off' | 'required' = 'off'): Promise<void> {
  const world = new World(fruitsAndCars());
  app = await createApp(world.ports({ scheduler: strict<Scheduler>('scheduler', methods) }), { auth });
}

const ask = (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, payload?: object, headers = {}) =>
  app.inject({ method, url: `/v1/catalogues/shop/schedules${path}`, headers, ...(payload && { payload }) });

describe('schedules over the API', () => {
  it('are listed as they stand', async () => {
    await begin({ list: async () => [schedule] });
    const answer = await ask('GET', '');
    expect(ScheduleListDto.schema.parse(answer.json())).toEqual({ schedules: [schedule] });
    expect((await app.inject('/v1/catalogues/unknown/schedules')).statusCode).toBe(404);
  });

  it('are set, defaults filled in, and what makes no rule is refused', async () => {
    const set = vi.fn<Scheduler['set']>().mockResolvedValue({ id: schedule.id, created: true });
    await begin({ set });
    const rule = { trigger: 'changes', numChanges: 5 };
    expect((await ask('PUT', '', { rule, set: ['train.epochs=3'] })).json()).toEqual({
      id: schedule.id,
      created: true,
    });
    expect(set).toHaveBeenCalledExactlyOnceWith('shop', { rule: schedule.rule, set: ['train.epochs=3'] });
    for (const bad of [
      { trigger: 'changes' },
      { trigger: 'changes', numChanges: 5, checkEveryMs: 1 },
      { trigger: 'cron' },
      { trigger: 'drift', maxDrop: -1 },
      { trigger: 'moon' },
      { trigger: 'cron', cron: '@daily', numChanges: 5 },
    ]) {
      expect((await ask('PUT', '', { rule: bad })).statusCode).toBe(400);
    }
  });

  it('are paused, resumed, triggered and removed', async () => {
    const act = vi.fn<Scheduler['act']>().mockResolvedValue();
    const remove = vi.fn<Scheduler['remove']>().mockResolvedValue();
    await begin({ act, remove });
    for (const action of ['pause', 'resume', 'trigger']) {
      expect((await ask('POST', `/drift/${action}`, {})).statusCode).toBe(204);
      expect(act).toHaveBeenLastCalledWith('shop', 'drift', action, 'API without a key');
    }
    expect((await ask('DELETE', '/drift')).statusCode).toBe(204);
    expect(remove).toHaveBeenCalledExactlyOnceWith('shop', 'drift');
    expect((await ask('POST', '/moon/pause', {})).statusCode).toBe(400);
    expect((await ask('POST', '/drift/explode', {})).statusCode).toBe(400);
  });

  it('are seen with a key that may read and changed with one that may write', async () => {
    await begin({ list: async () => [], act: async () => undefined, remove: async () => undefined }, 'required');
    const reader = { 'x-api-key': READ_KEY };
    expect((await ask('GET', '')).statusCode).toBe(401);
    expect((await ask('GET', '', undefined, reader)).statusCode).toBe(200);
    expect((await ask('POST', '/cron/pause', {}, reader)).statusCode).toBe(403);
    expect((await ask('DELETE', '/cron', undefined, reader)).statusCode).toBe(403);
    const rule = { trigger: 'cron', cron: '@daily' };
    expect((await ask('PUT', '', { rule }, reader)).statusCode).toBe(403);
    expect((await ask('POST', '/cron/pause', {}, { 'x-api-key': WRITE_KEY })).statusCode).toBe(204);
  });
});

describe('queries that the drift check goes by', () => {
  it('are sampled, one in a while, as vectors of the model that answered; an item asked for is none', async () => {
    const world = new World(fruitsAndCars());
    app = await createApp(world.ports(), { auth: 'off' });
    const search = (payload: object) =>
      app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload: { k: 1, ...payload } });
    await search({ itemId: 'pear' });
    expect(world.sampled).toEqual([]);
    expect((await search({ vector: [0, 2, 0, 0] })).statusCode).toBe(200);
    expect((await search({ vector: [0, 0, 1, 0] })).statusCode).toBe(200);
    expect(world.sampled).toEqual([{ model: world.table!.model, vector: [0, 1, 0, 0] }]);
  });
});
