import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { pino } from 'pino';
import { createApp } from '../../api/app.ts';
import type { ApiOptions } from '../../api/app.ts';
import type { Searcher } from '../../api/ports.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { World, fruitsAndCars, table } from './fakes.ts';

let world: World;
let app: NestFastifyApplication;
beforeEach(() => {
  world = new World(fruitsAndCars());
});
afterEach(() => app.close());

/** A searcher whose live answers miss the nearest item; `exactly` decides what becomes of the exact ones. */
async function start(
  exactly: Searcher['search'] = (query) => world.searcher().search(query),
  limits: ApiOptions['limits'] = { recallCheckMs: 1 },
): Promise<void> {
  const searcher = world.searcher();
  const search: Searcher['search'] = async (query) => {
    if (query.background === true) return exactly(query);
    const answer = await searcher.search(query);
    return { ...answer, hits: answer.hits.slice(1) };
  };
  app = await createApp(world.ports({ searcher: { ...searcher, search } }), { auth: 'off', limits });
}

async function ask(payload: object): Promise<void> {
  const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
  expect(response.statusCode, response.body).toBe(200);
}
const metrics = async (): Promise<string> => (await app.inject('/metrics')).payload;
const checks = (): number => world.searches.filter(({ background }) => background).length;

describe('the recall of live searches', () => {
  it('is measured by answering one once more, exactly, as it was asked', async () => {
    await start();
    await ask({ vector: [1, 0, 0, 0], category: 'fruit', k: 3 });
    await vi.waitFor(async () => expect(await metrics()).toContain('recall_checks_total{outcome="checked"} 1'));
    expect(world.searches.at(-1)).toMatchObject({ exact: true, background: true, category: 'fruit', k: 3 });
    // Of the three nearest fruits the live answer missed the first.
    expect(await metrics()).toContain('lookalike_recall_expected_total{catalogue="shop"} 3');
    expect(await metrics()).toContain('lookalike_recall_found_total{catalogue="shop"} 2');
  });

  it('is asked for by one at a time, and not before the time has come', async () => {
    let finish: (() => void) | undefined;
    await start(
      async (query) => {
        await new Promise<void>((resolve) => (finish = resolve));
        return world.searcher().search(query);
      },
      { recallCheckMs: 60_000 },
    );
    for (let i = 0; i < 3; i++) await ask({ itemId: 'car' });
    expect(finish).toBeDefined();
    expect(checks()).toBe(0);
    finish!();
    await vi.waitFor(() => expect(checks()).toBe(1));
    await ask({ itemId: 'car' });
    expect(checks()).toBe(1);
  });

  it.each([
    ['exact', { exact: true }],
    ['cut off by score', { minScore: 0.1 }],
  ])('is not asked for by a search that is %s', async (_, options) => {
    await start();
    await ask({ itemId: 'car', ...options });
    await ask({ itemId: 'car', ...options });
    expect(checks()).toBe(0);
  });

  it('is off where nobody wants it', async () => {
    await start(undefined, { recallCheckMs: 0 });
    await ask({ itemId: 'car' });
    expect(checks()).toBe(0);
  });

  it('that cannot be measured fails no search and is counted', async () => {
    await start(() => Promise.reject(new LookalikeError('overloaded', 'busy')));
    await ask({ itemId: 'car' });
    await vi.waitFor(async () => expect(await metrics()).toContain('recall_checks_total{outcome="failed"} 1'));
  });

  it('is never measured against another generation', async () => {
    await start(async (query) => {
      await query.vector(table(2, 'another-model'));
      throw new Error('the vector of one model was given to another');
    });
    await ask({ itemId: 'car' });
    await vi.waitFor(async () => expect(await metrics()).toContain('recall_checks_total{outcome="failed"} 1'));
  });
});

describe('a slow search', () => {
  it('is logged with what it was and where its time went, under the id of its request, and counted', async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = pino(
      { level: 'warn' },
      { write: (line: string) => void lines.push(JSON.parse(line) as object as Record<string, unknown>) },
    );
    app = await createApp(world.ports({ logger }), { auth: 'off', limits: { slowSearchMs: 1e-9 } });
    const payload = { itemId: 'car', filter: { secret: 'value' }, k: 3 };
    await app.inject({
      ...{ method: 'POST', url: '/v1/catalogues/shop/search', payload },
      headers: { 'x-request-id': 'order-17' },
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      ...{ msg: 'slow search', requestId: 'order-17', catalogue: 'shop', query: 'item', k: 3, filteredBy: ['secret'] },
      ...{ generation: 1, timingsMs: { total: expect.any(Number) as number, search: 0.5 } },
    });
    expect(JSON.stringify(lines)).not.toContain('"value"');
    expect(await metrics()).toContain('lookalike_search_slow_total 1');
  });

  it('is logged sixty times a minute at most, and the rest is told', async () => {
    const { SlowSearches } = await import('../../api/search/slow-searches.ts');
    const said: unknown[][] = [];
    let now = 0;
    const slow = new SlowSearches({ warn: (...words: unknown[]) => void said.push(words) } as never, 10, () => now);
    const answer = (total: number) => ({ hits: [], timingsMs: { total } }) as never;
    const input = { query: { kind: 'item', id: 'x' }, k: 1, exact: false, allowPartial: false } as const;
    expect(slow.offer('shop', input, answer(9), 'r')).toBe(false);
    for (let i = 0; i < 100; i++) expect(slow.offer('shop', input, answer(10), 'r')).toBe(true);
    expect(said).toHaveLength(60);
    now = 60_000;
    slow.offer('shop', input, answer(10), 'r');
    expect(said.slice(60)).toEqual([
      [{ left: 40 }, expect.any(String)],
      [expect.anything(), 'slow search'],
    ]);
  });
});
