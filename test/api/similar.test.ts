import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import { SimilarAnswerDto, SimilarStartedDto } from '../../api/similar/similar.dto.ts';
import type { SimilarConfig } from '../../contracts/similar.ts';
import { INDEX, MODEL, World, fruitsAndCars, strict } from './fakes.ts';
import type { ApiPorts } from '../../api/ports.ts';
import { EFFORT_NAMES } from '../../infra/shards/search-effort.ts';

let world: World;
let app: NestFastifyApplication;
const started: { catalogue: string; config: SimilarConfig }[] = [];
beforeEach(async () => {
  world = new World(fruitsAndCars());
  world.similarArtifact = 'similarItems-1';
  world.similar.set('pear', {
    ...{ k: 3, withinCategory: false, isWhole: true },
    neighbours: ['car', 'apple/red', 'van'].map((id, i) => ({ id, score: 0.9 - i / 10 })),
    nearDuplicates: ['apple/green'],
  });
  const similarStarter = strict<ApiPorts['similarStarter']>('similarStarter', {
    start: async (catalogue, config) => {
      started.push({ catalogue, config });
      return { workflowId: `similar/${catalogue}`, runId: 'r', started: true, temporalUrl: 'http://ui' };
    },
  });
  app = await createApp(world.ports({ similarStarter }), { auth: 'off' });
});
afterEach(() => app.close());

async function similar(id: string, query = ''): Promise<SimilarAnswerDto> {
  const response = await app.inject(`/v1/catalogues/shop/items/${encodeURIComponent(id)}/similar${query}`);
  expect(response.statusCode, response.body).toBe(200);
  return SimilarAnswerDto.schema.parse(response.json());
}
const ids = (hits: { id: string }[]): string[] => hits.map(({ id }) => id);

describe('similar items', () => {
  it('come from the finished batch of the index that serves, without a search', async () => {
    const answer = await similar('pear', '?k=2');
    expect(answer).toMatchObject({ source: 'batch', generation: 1, model: MODEL, index: INDEX });
    expect(answer.hits).toMatchObject([
      { id: 'car', score: 0.9, title: 'Car', category: 'vehicle' },
      { id: 'apple/red', score: 0.8, attributes: { colour: 'red' } },
    ]);
    expect(ids(answer.nearDuplicates)).toEqual(['apple/green']);
    expect(world.searches).toHaveLength(0);
  });

  it('are searched now when asked for, or when the batch is not there, too short, or knows no such item', async () => {
    const live = { source: 'live', generation: 1, index: INDEX, nearDuplicates: [] };
    expect(await similar('pear', '?k=2&live=true')).toMatchObject(live);
    expect(await similar('pear', '?k=4')).toMatchObject(live);
    expect(ids((await similar('van', '?k=1')).hits)).toEqual(['car']);
    world.similarArtifact = undefined;
    expect(await similar('pear', '?k=2')).toMatchObject(live);
    expect(world.searches).toHaveLength(4);
  });

  it('of a batch are merged with what changed since its index was built', async () => {
    world.lastSeq = 3;
    world.changed.add('bus');
    world.add({ id: 'bus', vector: [1.2, 0.2, 0, 0], category: 'vehicle' });
    const answer = await similar('pear', '?k=2');
    expect(answer.source).toBe('batch');
    expect(ids(answer.hits)).toEqual(['bus', 'car']);
    expect(world.searches).toHaveLength(1);
    world.repictured.add('car');
    expect(ids((await similar('pear', '?k=2')).hits)).toEqual(['bus', 'apple/red']);
    expect((await similar('pear', '?k=3')).source).toBe('live');
    world.repictured.delete('car');
    world.repictured.add('pear');
    expect((await similar('pear', '?k=2')).source).toBe('live');
  });

  it('are searched as hard as is said where they are searched now, within the bounds of a search', async () => {
    await similar('pear', '?live=true&efSearch=200&nprobe=3&probes=4&checks=5&rescore=0');
    expect(world.searches.at(-1)).toMatchObject({ efSearch: 200, nprobe: 3, probes: 4, checks: 5, rescore: 0 });
    await similar('pear', '?live=true');
    for (const name of EFFORT_NAMES) expect(world.searches.at(-1)).not.toHaveProperty(name);
    expect(await similar('pear', '?k=2&nprobe=3')).toMatchObject({ source: 'batch' });
    for (const bad of ['efSearch=0', 'nprobe=2.5', 'probes=many', 'checks=-1', 'rescore=1001']) {
      const response = await app.inject(`/v1/catalogues/shop/items/pear/similar?${bad}`);
      expect(response.statusCode, bad).toBe(400);
      expect(response.json()).toMatchObject({ errors: [{ field: bad.split('=')[0] }] });
    }
  });

  it('leave out what was deleted since, and are searched now when too few are left', async () => {
    world.items.delete('car');
    expect(ids((await similar('pear', '?k=2')).hits)).toEqual(['apple/red', 'van']);
    expect(await similar('pear', '?k=3')).toMatchObject({ source: 'live' });
    world.items.delete('pear');
    const gone = await app.inject('/v1/catalogues/shop/items/pear/similar');
    expect(gone.statusCode).toBe(404);
  });

  it('keep to the rule that was asked for, whichever way they are found', async () => {
    const within = await similar('pear', '?k=2&withinCategory=true');
    expect(within).toMatchObject({ source: 'live', withinCategory: true });
    expect(within.hits.every(({ category }) => category === 'fruit')).toBe(true);
    const list = world.similar.get('pear')!;
    list.withinCategory = true;
    // As a batch finds them: no other category's.
    list.neighbours = ['apple/red', 'Äpfel & Birnen'].map((id, i) => ({ id, score: 0.9 - i / 10 }));
    expect(await similar('pear', '?k=2')).toMatchObject({ source: 'live', withinCategory: false });
    expect(await similar('pear', '?k=2&withinCategory=true')).toMatchObject({ source: 'batch', withinCategory: true });
  });

  it('are searched now when near-duplicates took the places of the next neighbours', async () => {
    const list = world.similar.get('pear')!;
    list.neighbours.pop();
    expect(await similar('pear', '?k=3')).toMatchObject({ source: 'batch' });
    list.isWhole = false;
    expect(await similar('pear', '?k=3')).toMatchObject({ source: 'live' });
    expect(await similar('pear', '?k=2')).toMatchObject({ source: 'batch' });
  });

  it('answer what they cannot do in words', async () => {
    const unknown = await app.inject('/v1/catalogues/none/items/pear/similar');
    expect([unknown.statusCode, unknown.json<{ code: string }>().code]).toEqual([404, 'notFound']);
    const bad = await app.inject('/v1/catalogues/shop/items/pear/similar?k=0');
    expect(bad.statusCode).toBe(400);
    expect(bad.json()).toMatchObject({ errors: [{ field: 'k' }] });
  });

  it('are found in advance by a run that is started with defaults filled in', async () => {
    const url = '/v1/catalogues/shop/similar-items';
    const response = await app.inject({ method: 'POST', url, payload: { k: 5 } });
    expect(response.statusCode, response.body).toBe(202);
    expect(SimilarStartedDto.schema.parse(response.json())).toMatchObject({ workflowId: 'similar/shop' });
    expect(started.at(-1)).toMatchObject({ catalogue: 'shop', config: { k: 5, withinCategory: false, exact: false } });
    expect((await app.inject({ method: 'POST', url, payload: { k: 0 } })).statusCode).toBe(400);
    const huge = await app.inject({ method: 'POST', url, payload: { k: 1000, chunkItems: 100_000 } });
    expect(huge.json()).toMatchObject({
      errors: [{ field: 'chunkItems', expected: 'at most 25000 for so large a k', got: '100000' }],
    });
    expect(
      (await app.inject({ method: 'POST', url: '/v1/catalogues/none/similar-items', payload: {} })).statusCode,
    ).toBe(404);
  });
});
