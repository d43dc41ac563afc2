import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import { LineageDto, SwitchListDto, SwitchedDto } from '../../api/generations/generations.dto.ts';
import type { ApiPorts, Switcher } from '../../api/ports.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { READ_KEY, WRITE_KEY, World, fruitsAndCars, generation } from './fakes.ts';

let world: World;
let app: NestFastifyApplication;
beforeEach(() => begin());
afterEach(() => app.close());

async function begin(switcher?: Switcher, auth: 'off' | 'required' = 'off'): Promise<void> {
  await app?.close();
  world = new World(fruitsAndCars());
  world.generations.push(generation(2, 'serving'));
  world.generations[0]!.status = 'retired';
  app = await createApp(world.ports(switcher && { switcher }), { auth });
}

const post = (path: string, payload: object, headers = {}) =>
  app.inject({ method: 'POST', url: `/v1/catalogues/shop/${path}`, payload, headers });

describe('switching to another generation', () => {
  it('promotes one, tells what served before, and records who and why', async () => {
    const response = await post('generations/1/promote', { reason: 'the new one mixes up shoes' });
    expect(response.statusCode).toBe(200);
    expect(SwitchedDto.schema.parse(response.json())).toEqual({ generation: 1, previous: 2, switched: true });
    const list = await app.inject('/v1/catalogues/shop/switches');
    expect(SwitchListDto.schema.parse(list.json()).switches).toMatchObject([
      { generation: 1, previous: 2, how: 'promote', by: 'API without a key', reason: 'the new one mixes up shoes' },
    ]);
    expect((await post('generations/1/promote', {})).json()).toMatchObject({ switched: false });
  });

  it('rolls back to what served before, or to the one named, and lists the newest switch first', async () => {
    expect((await post('rollback', {})).json()).toMatchObject({ generation: 1, previous: 2 });
    expect((await post('rollback', { to: 2 })).json()).toMatchObject({ generation: 2, previous: 1 });
    const { switches } = SwitchListDto.schema.parse((await app.inject('/v1/catalogues/shop/switches')).json());
    expect(switches.map(({ generation }) => generation)).toEqual([2, 1]);
  });

  it('refuses what it cannot do, in words', async () => {
    expect((await post('generations/9/promote', {})).statusCode).toBe(404);
    for (const payload of [{ to: 0 }, { to: 1.5 }, { unheard: 1 }]) {
      expect((await post('rollback', payload)).statusCode).toBe(400);
    }
    const unknown = { method: 'POST', url: '/v1/catalogues/unknown/rollback', payload: {} } as const;
    expect((await app.inject(unknown)).statusCode).toBe(404);
    expect((await app.inject('/v1/catalogues/unknown/switches')).statusCode).toBe(404);
    const building = new LookalikeError('conflict', 'Expected generation 3 to have served before, but it is building.');
    await begin({ promote: () => Promise.reject(building), rollBack: () => Promise.reject(building) });
    const refused = await post('generations/3/promote', {});
    expect([refused.statusCode, refused.json<{ detail: string }>().detail]).toEqual([409, building.message]);
  });

  it('tells what a generation was made from, root by root', async () => {
    const lineage = vi.fn<ApiPorts['lineage']>(async (roots) =>
      roots.map(([role, id]) => ({ role, id, state: 'artifact' as const, made: null, inputs: [] })),
    );
    await app.close();
    world.generations[1]!.metrics = { comparison: 'comparison-1' };
    app = await createApp(world.ports({ lineage }), { auth: 'off' });
    const { roots } = LineageDto.schema.parse((await app.inject('/v1/catalogues/shop/generations/2/lineage')).json());
    expect(roots.map(({ role }) => role)).toEqual(['index', 'embeddings', 'model', 'snapshot', 'comparison']);
    expect((await app.inject('/v1/catalogues/shop/generations/9/lineage')).statusCode).toBe(404);
  });

  it('asks for a key that may write, and names it in the record', async () => {
    await begin(undefined, 'required');
    for (const path of ['generations/1/promote', 'rollback']) {
      expect((await post(path, {})).statusCode).toBe(401);
      expect((await post(path, {}, { 'x-api-key': READ_KEY })).statusCode).toBe(403);
    }
    expect((await post('rollback', {}, { 'x-api-key': WRITE_KEY })).statusCode).toBe(200);
    expect(world.switches).toMatchObject([{ by: `key id of ${WRITE_KEY}` }]);
  });
});
