import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import { INDEX, MODEL, PNG, World, fruitsAndCars, table } from './fakes.ts';
import { encodeForm } from './form.ts';
import { idsOf as ids, searchShop } from './search-shop.ts';
import type { SearchAnswer } from '../../contracts/serving.ts';

let world: World;
let app: NestFastifyApplication;
beforeEach(async () => {
  world = new World(fruitsAndCars());
  app = await createApp(world.ports(), { auth: 'off' });
});
afterEach(() => app.close());

const search = (payload: object): Promise<SearchAnswer> => searchShop(app, payload);

describe('search', () => {
  it('answers a vector with the nearest items, best first, and says what answered', async () => {
    const answer = await search({ vector: [1, 0, 0, 0], k: 2 });
    expect(ids(answer)).toEqual(['apple/red', 'apple/green']);
    expect(answer).toMatchObject({
      model: MODEL,
      generation: 1,
      index: INDEX,
      coverage: { shardsAsked: 2, shardsAnswered: 2 },
    });
    expect(answer.hits[0]).toMatchObject({
      score: 1,
      category: 'fruit',
      title: 'Red apple',
      attributes: { colour: 'red' },
    });
    expect(answer.timingsMs.total).toBeGreaterThan(0);
  });

  it('answers an item with its likes but never with itself', async () => {
    const answer = await search({ itemId: 'apple/red', k: 3 });
    expect(ids(answer)).toEqual(['apple/green', 'pear', 'Äpfel & Birnen']);
    expect(world.embedded).toHaveLength(0);
  });

  it('embeds the picture of an item that is newer than the serving generation', async () => {
    world.add({ id: 'fresh', vector: null });
    expect(ids(await search({ itemId: 'fresh', k: 1 }))).toEqual(['apple/red']);
    expect(world.embedded).toEqual([{ model: MODEL, bytes: PNG }]);
  });

  it.each([
    ['base64', { imageBase64: PNG.toString('base64') }],
    ['a data URL', { imageBase64: `data:image/png;base64,${PNG.toString('base64')}` }],
    ['a URL', { imageUrl: 'https://pictures.example/a.png' }],
  ])('embeds a picture given as %s with the serving model', async (_, query) => {
    const answer = await search({ ...query, k: 1 });
    expect(ids(answer)).toEqual(['apple/red']);
    expect(world.embedded).toEqual([{ model: MODEL, bytes: PNG }]);
    expect(answer.timingsMs).toMatchObject({ queue: 0.2, decode: 1, infer: 5 });
  });

  it('takes a picture and the other fields from a form', async () => {
    const form = await encodeForm({ image: PNG, k: '1', category: 'vehicle', exact: 'true' });
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', ...form });
    expect(response.statusCode, response.body).toBe(200);
    expect(ids(response.json())).toEqual(['car']);
    expect(world.embedded).toEqual([{ model: MODEL, bytes: PNG }]);
    expect(world.searches[0]).toMatchObject({ category: 'vehicle', exact: true });
  });

  it('hands on how hard to look, from JSON and from a form, and says nothing of what was not said', async () => {
    await search({ vector: [1, 0, 0, 0], nprobe: 3, rescore: 0 });
    expect(world.searches[0]).toMatchObject({ nprobe: 3, rescore: 0 });
    expect(world.searches[0]).not.toHaveProperty('efSearch');
    const form = await encodeForm({ image: PNG, efSearch: '200', probes: '7', checks: '9' });
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', ...form });
    expect(response.statusCode, response.body).toBe(200);
    expect(world.searches.at(-1)).toMatchObject({ efSearch: 200, probes: 7, checks: 9 });
  });

  it('keeps to the category, the lowest score and k', async () => {
    expect(ids(await search({ vector: [1, 0, 0, 0], category: 'vehicle' }))).toEqual(['car', 'van']);
    expect(ids(await search({ vector: [1, 0, 0, 0], minScore: 0.85 }))).toEqual(['apple/red', 'apple/green']);
    expect(ids(await search({ vector: [1, 0, 0, 0], k: 1 }))).toEqual(['apple/red']);
  });

  it('still fills k when items were deleted since the index was built', async () => {
    for (let i = 0; i < 100; i++) {
      world.add({ id: `gone-${i}`, vector: [1, 0, 0, 0] });
      world.items.delete(`gone-${i}`);
    }
    expect(ids(await search({ vector: [1, 0, 0, 0], k: 3 }))).toEqual(['apple/red', 'apple/green', 'pear']);
    expect(world.searches.length).toBeGreaterThan(1);
  });

  it('leaves out an item that was moved out of the category since the index was built', async () => {
    world.items.get('apple/red')!.category = 'computer';
    expect(ids(await search({ vector: [1, 0, 0, 0], category: 'fruit', k: 1 }))).toEqual(['apple/green']);
  });

  it('hands a filter by attributes on, and holds it against items as they are now', async () => {
    const filter = { colour: { in: ['red', 'blue'] } };
    expect(ids(await search({ vector: [1, 0, 0, 0], filter, k: 5 }))).toEqual(['apple/red']);
    expect(world.searches[0]).toMatchObject({ filter });
    const form = await encodeForm({ image: PNG, filter: JSON.stringify(filter) });
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', ...form });
    expect(response.statusCode, response.body).toBe(200);
    expect(world.searches.at(-1)).toMatchObject({ filter });
  });

  it.each([
    { price: {} },
    { price: { lt: '5' } },
    { price: { lt: 5, near: 6 } },
    { price: { in: [] } },
    { price: null },
    { '': 1 },
    Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`a${i}`, i])),
    'price<5',
  ])('refuses the filter %j', async (filter) => {
    const payload = { vector: [1, 0, 0, 0], filter };
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
    expect(response.statusCode, response.body).toBe(400);
    expect(response.body).toContain('filter');
  });

  it('looks for more like these and less like those, and never finds them', async () => {
    const more = await search({ moreLike: ['apple/red', 'car'], k: 9 });
    expect(ids(more)).toEqual(['apple/green', 'van', 'pear', 'Äpfel & Birnen']);
    const less = await search({ itemId: 'pear', moreLike: ['apple/green'], lessLike: ['apple/red'], k: 9 });
    expect(ids(less)).toEqual(['Äpfel & Birnen', 'car', 'van']);
    const form = await encodeForm({ image: PNG, lessLike: JSON.stringify(['van']), k: '9' });
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', ...form });
    expect(response.statusCode, response.body).toBe(200);
    expect(ids(response.json<SearchAnswer>())).not.toContain('van');
    const unknown = { method: 'POST', url: '/v1/catalogues/shop/search', payload: { moreLike: ['nothing'] } } as const;
    expect((await app.inject(unknown)).statusCode).toBe(404);
    const alone = { ...unknown, payload: { lessLike: ['car'] } };
    expect((await app.inject(alone)).statusCode).toBe(400);
  });

  it('makes a vector for each generation that it is asked for, and none for another', async () => {
    const newer = table(2, `${MODEL.slice(0, -1)}2`);
    const searcher = world.searcher();
    const search2: typeof searcher.search = async (query) => {
      const [old] = [await query.vector(table(1, MODEL)), await query.vector(newer), await query.vector(newer)];
      expect(old).toEqual(Float32Array.from(world.embedding));
      return { ...(await searcher.search({ ...query, vector: () => query.vector(newer) })), table: newer };
    };
    await app.close();
    world.generations.push({ ...world.generations[0]!, number: 2 });
    app = await createApp(world.ports({ searcher: { ...searcher, search: search2 } }), { auth: 'off' });
    const answer = await search({ imageBase64: PNG.toString('base64'), k: 1 });
    expect(answer).toMatchObject({ model: newer.model, generation: 2 });
    expect(world.embedded.map(({ model }) => model)).toEqual([MODEL, newer.model]);
  });
});
