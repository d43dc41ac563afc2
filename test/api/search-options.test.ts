import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import { SearchAnswerDto } from '../../api/search/search.dto.ts';
import { MODEL, PNG, World, fruitsAndCars, table } from './fakes.ts';
import { encodeForm } from './form.ts';
import { idsOf as ids, searchShop } from './search-shop.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { SearchAnswer } from '../../contracts/serving.ts';

let world: World;
let app: NestFastifyApplication;
beforeEach(async () => {
  world = new World(fruitsAndCars());
  app = await createApp(world.ports(), { auth: 'off' });
});
afterEach(() => app.close());

const search = (payload: object): Promise<SearchAnswer> => searchShop(app, payload);

describe('a search', () => {
  it('answers page after page of products, each once, and says when there is no more', async () => {
    world.items.get('apple/green')!.label = 'apple';
    world.items.get('apple/red')!.label = 'apple';
    const asked = { vector: [1, 0, 0, 0], groupBy: 'label', groupSize: 5, k: 2 };
    const first = await search(asked);
    expect(ids(first)).toEqual(['apple/red', 'pear']);
    expect(first.hits.map(({ group }) => [group?.value, group?.more.map(({ id }) => id)])).toEqual([
      ['apple', ['apple/green']],
      [null, []],
    ]);
    expect(first).not.toHaveProperty('end');
    const second = await search({ ...asked, cursor: first.nextCursor, k: 9 });
    expect(ids(second)).toEqual(['Äpfel & Birnen', 'car', 'van']);
    expect(second).toMatchObject({ nextCursor: null, end: 'nothingMore' });
  });

  it('goes on after an item that was deleted, without what came in before it', async () => {
    const asked = { vector: [1, 0, 0, 0], k: 2 };
    const { nextCursor } = await search(asked);
    world.items.delete('apple/green');
    world.add({ id: 'new', vector: [0.95, 0, 0, 0] });
    expect(ids(await search({ ...asked, cursor: nextCursor }))).toEqual(['pear', 'Äpfel & Birnen']);
  });

  it.each<[string, object, (cursor: string) => string, number, RegExp]>([
    ['of another search', { category: 'fruit' }, (cursor) => cursor, 400, /of this very search/],
    ['that is none', {}, () => 'first', 400, /what `nextCursor` of an answer said/],
    ['that was changed', {}, (cursor) => `${cursor.slice(0, -9)}AAAA`, 400, /nextCursor/],
  ])('refuses a cursor %s', async (_, others, change, status, why) => {
    const asked = { vector: [1, 0, 0, 0], k: 2 };
    const { nextCursor } = await search(asked);
    const payload = { ...asked, ...others, cursor: change(nextCursor!) };
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
    expect(response.statusCode, response.body).toBe(status);
    expect(response.body).toMatch(why);
  });

  it('refuses to go on when another generation has come to serve', async () => {
    const asked = { vector: [1, 0, 0, 0], k: 2 };
    const { nextCursor } = await search(asked);
    world.table = table(2, MODEL);
    const payload = { ...asked, cursor: nextCursor };
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
    expect(response.statusCode, response.body).toBe(409);
    expect(response.json()).toMatchObject({ code: 'conflict' });
    expect(response.body).toContain('Search again without `cursor`');
  });

  it('asks for facets once, though it looks deeper, and for what they are of', async () => {
    for (let i = 0; i < 100; i++) {
      world.add({ id: `gone-${i}`, vector: [1, 0, 0, 0] });
      world.items.delete(`gone-${i}`);
    }
    const answer = await search({ vector: [1, 0, 0, 0], k: 3, facets: ['category', 'colour'], facetSize: 2 });
    expect(answer.facets?.map(({ name }) => name)).toEqual(['category', 'colour']);
    expect(world.searches.length).toBeGreaterThan(1);
    expect(world.searches.flatMap(({ facets }) => facets ?? [])).toEqual(['category', 'colour']);
    expect(world.searches[0]).toMatchObject({ facetSize: 2 });
    const form = await encodeForm({ image: PNG, facets: '["category"]', groupBy: 'category', groupSize: '3' });
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', ...form });
    expect(response.json<SearchAnswer>().facets?.[0]?.name).toBe('category');
    const label = { method: 'POST', url: '/v1/catalogues/shop/search', payload: { itemId: 'car', facets: ['label'] } };
    expect((await app.inject(label as object)).statusCode).toBe(400);
  });

  it('explains how the answer came to be where that is asked for', async () => {
    world.items.delete('apple/green');
    const ask = (url: string) =>
      app.inject({ method: 'POST', url, payload: { itemId: 'apple/red', k: 2, efSearch: 30 } });
    const { explanation } = SearchAnswerDto.schema.parse((await ask('/v1/catalogues/shop/search?explain=true')).json());
    expect(explanation).toEqual({
      ...{ numRounds: 1, depth: 10, candidates: { found: 6, leftOut: 2 }, effort: { efSearch: 30 }, exact: false },
      shards: [0, 1].map((shard) => ({ shard, answered: true, replica: 0, host: 'searcher-1' })),
    });
    expect(world.searches.at(-1)).toMatchObject({ explain: true });
    expect((await ask('/v1/catalogues/shop/search')).json()).not.toHaveProperty('explanation');
    const wrong = await ask('/v1/catalogues/shop/search?explain=perhaps');
    expect(wrong.statusCode, wrong.body).toBe(400);
    expect((await ask('/v1/catalogues/shop/search?explian=true')).statusCode).toBe(400);
  });

  describe('re-ranked', () => {
    const vector = [1, 0, 0, 0];

    it('spreads, drops near-duplicates and raises, and says what each ranks by', async () => {
      const plain = await search({ vector, k: 3 });
      expect(plain.hits[0]).not.toHaveProperty('rankScore');
      const diverse = await search({ vector, k: 3, diversity: 0.6 });
      expect(ids(diverse)).toEqual(['apple/red', 'car', 'Äpfel & Birnen']);
      expect(diverse.hits.map(({ rankScore }) => rankScore)).toEqual(
        diverse.hits.map(({ rankScore }) => rankScore!).sort((a, b) => b - a),
      );
      expect(diverse.timingsMs.rerank).toBeGreaterThan(0);
      expect(world.searches.at(-1)).toMatchObject({ exactScores: true });
      const apart = await search({ vector, k: 3, nearDuplicateScore: 0.97 });
      expect(ids(apart)).toEqual(['apple/red', 'Äpfel & Birnen', 'car']);
      const boosts = [
        { category: 'vehicle', weight: 2 },
        { filter: { colour: 'red' }, weight: -5 },
      ];
      const raised = await search({ vector, k: 3, boosts });
      expect(ids(raised)).toEqual(['car', 'van', 'apple/green']);
      expect(raised.hits[0]).toMatchObject({ score: 0, rankScore: 2 });
    });

    it('goes on page by page in the same order, and groups what it ranked', async () => {
      const asked = { vector, diversity: 0.6, boosts: [{ category: 'vehicle', weight: 0.1 }] };
      const all = ids(await search({ ...asked, k: 6 }));
      const paged: string[] = [];
      let cursor: string | null | undefined;
      while (cursor !== null) {
        const page = await search({ ...asked, k: 2, cursor });
        paged.push(...ids(page));
        cursor = page.nextCursor;
      }
      expect(paged).toEqual(all);
      expect(paged).toHaveLength(6);
      const grouped = await search({ ...asked, k: 6, groupBy: 'category' });
      expect(grouped.hits.map(({ group }) => group?.value)).toEqual(['fruit', 'vehicle']);
    });

    it('says when only the candidates that are re-ranked ran out, and refuses to go on after one that is gone', async () => {
      const asked = { vector, nearDuplicateScore: 0.97, k: 2, rerankDepth: 4 };
      const first = await search(asked);
      expect(ids(first)).toEqual(['apple/red', 'Äpfel & Birnen']);
      expect(first).toMatchObject({ nextCursor: null, end: 'rerankDepth' });
      const { nextCursor } = await search({ ...asked, rerankDepth: 6 });
      world.items.delete('Äpfel & Birnen');
      const payload = { ...asked, rerankDepth: 6, cursor: nextCursor };
      const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
      expect(response.statusCode, response.body).toBe(409);
    });

    it.each([
      ['rerankDepth', { rerankDepth: 50 }],
      ['k', { rerankDepth: 5, diversity: 0.5, k: 6 }],
      ['rescore', { rescore: 0, diversity: 0.5 }],
      ['rescore', { rescore: 0, exactScores: true }],
      ['diversity', { diversity: 1.5 }],
      ['nearDuplicateScore', { nearDuplicateScore: 2 }],
      ['boosts[0]', { boosts: [{ weight: 1 }] }],
      ['boosts[0].weight', { boosts: [{ category: 'fruit', weight: 11 }] }],
      ['minProbability', { minProbability: 2 }],
    ])('refuses a contradiction in %s', async (field, options) => {
      const payload = { vector, ...options };
      const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
      expect(response.statusCode, response.body).toBe(400);
      expect(response.json<{ errors: { field: string }[] }>().errors.map((one) => one.field)).toContain(field);
    });
  });

  it('says how probable it is that a hit shows the same product, and keeps to what is probable enough', async () => {
    const vector = [1, 0, 0, 0];
    expect((await search({ vector, k: 1 })).hits[0]).not.toHaveProperty('probability');
    const payload = { vector, minProbability: 0.5 };
    const refused = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
    expect([refused.statusCode, refused.json()]).toMatchObject([409, { code: 'conflict' }]);
    expect(refused.body).toContain('Expected labels, got none.');
    world.calibration = {
      calibration: {
        ...{ from: 'holdout', numQueries: 9, numPairs: 90, error: 0.01 },
        knots: [
          [0.6, 0.1],
          [1, 0.9],
        ],
      },
    };
    const answer = await search({ vector, minProbability: 0.45, k: 6 });
    expect(ids(answer)).toEqual(['apple/red', 'apple/green', 'pear']);
    expect(answer.hits.map(({ probability }) => probability!.toFixed(2))).toEqual(['0.90', '0.70', '0.50']);
    expect(answer).toMatchObject({ nextCursor: null, end: 'nothingMore' });
  });

  it('answers though what scores mean cannot be read', async () => {
    await app.close();
    const calibrations = () => Promise.reject(new Error('the store is down'));
    app = await createApp(world.ports({ calibrations }), { auth: 'off' });
    expect(ids(await search({ vector: [1, 0, 0, 0], k: 1 }))).toEqual(['apple/red']);
  });

  it('looks for a part of a picture, from JSON and from a form, and says which pixels that was', async () => {
    const crop = { left: 0.25, top: 0, width: 0.5, height: 1 };
    const answer = await search({ imageBase64: PNG.toString('base64'), crop });
    expect(world.embedded[0]).toMatchObject({ crop: { ...crop, unit: 'relative' } });
    expect(answer.crop).toEqual({ left: 1, top: 2, width: 3, height: 4 });
    await search({ imageUrl: 'https://pictures.example/a.png', crop: { ...crop, unit: 'pixel' } });
    expect(world.embedded[1]).toMatchObject({ crop: { ...crop, unit: 'pixel' } });
    const form = await encodeForm({ image: PNG, crop: JSON.stringify(crop) });
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', ...form });
    expect(response.json<SearchAnswer>().crop).toBeDefined();
    expect(await search({ itemId: 'car' })).not.toHaveProperty('crop');
  });

  it.each([
    ['crop', { itemId: 'car', crop: { left: 0, top: 0, width: 1, height: 1 } }],
    ['crop.left', { imageBase64: PNG.toString('base64'), crop: { left: -1, top: 0, width: 1, height: 1 } }],
    ['crop.width', { imageBase64: PNG.toString('base64'), crop: { left: 0, top: 0, width: 0, height: 1 } }],
    ['crop.height', { imageBase64: PNG.toString('base64'), crop: { left: 0, top: 0, width: 1 } }],
    ['crop.unit', { imageBase64: PNG.toString('base64'), crop: { left: 0, top: 0, width: 1, height: 1, unit: '%' } }],
  ])('refuses a wrong %s', async (field, payload) => {
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
    expect(response.statusCode, response.body).toBe(400);
    expect(response.json<{ errors: { field: string }[] }>().errors.map((one) => one.field)).toContain(field);
  });

  it('gives up when the caller would, and tells every part how long that is', async () => {
    await app.close();
    const searcher = world.searcher();
    const slow: typeof searcher.search = (query) =>
      new Promise((_, reject) => query.signal.addEventListener('abort', () => reject(query.signal.reason as Error)));
    const search2 = (query: Parameters<typeof slow>[0]) => {
      world.searches.push(query);
      return slow(query);
    };
    app = await createApp(world.ports({ searcher: { ...searcher, search: search2 } }), { auth: 'off' });
    const payload = { vector: [1, 0, 0, 0], timeoutMs: 30 };
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
    expect([response.statusCode, response.json()]).toMatchObject([504, { code: 'timeout' }]);
    expect(world.searches[0]).toMatchObject({ deadlineMs: 30 });
    expect(world.searches[0]!.signal.aborted).toBe(true);
    for (const timeoutMs of [0, 1.5, 60_001]) {
      const wrong = { method: 'POST', url: '/v1/catalogues/shop/search', payload: { ...payload, timeoutMs } } as const;
      expect((await app.inject(wrong)).statusCode).toBe(400);
    }
  });

  it.each([
    ['unavailable', 503],
    ['overloaded', 503],
  ] as const)('says when to try again where the answer is %s', async (code, status) => {
    await app.close();
    const search3 = () => Promise.reject(new LookalikeError(code, 'Expected room, got none.'));
    app = await createApp(world.ports({ searcher: { ...world.searcher(), search: search3 } }), { auth: 'off' });
    const payload = { vector: [1, 0, 0, 0] };
    const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
    expect([response.statusCode, response.json()]).toMatchObject([status, { code }]);
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
  });
});
