import { describe, expect, it } from 'vitest';
import { routerSearcher } from '../../api/search/router-searcher.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Router } from '../../infra/router/router.ts';
import { MODEL, strict, table } from './fakes.ts';

const signal = new AbortController().signal;
const failing = (error: Error) => () => Promise.reject(error);

describe(routerSearcher.name, () => {
  it('hands over the vector that the named generation stores', async () => {
    const vector = Float32Array.of(1, 0, 0, 0);
    const asked: unknown[] = [];
    const router = strict<Router>('router', {
      vectorOf: async (...args) => (asked.push(args), { table: table(1, MODEL), vector }),
    });
    expect(await routerSearcher(router).vectorOf(table(1, MODEL), 'car', signal)).toBe(vector);
    expect(asked).toEqual([['shop', 'car', { table: table(1, MODEL), signal }]]);
  });

  it('says undefined for an item that is not indexed, but passes on that a shard is gone', async () => {
    const notIndexed = new LookalikeError('notFound', 'Expected item "car" in generation 1.', { itemId: 'car' });
    const gone = new LookalikeError('notFound', 'Expected shard-1 here.', { artifact: 'shard-1' });
    const over = (error: Error) => routerSearcher(strict<Router>('router', { vectorOf: failing(error) }));
    expect(await over(notIndexed).vectorOf(table(1, MODEL), 'car', signal)).toBeUndefined();
    await expect(over(gone).vectorOf(table(1, MODEL), 'car', signal)).rejects.toBe(gone);
  });

  it('says undefined where nothing serves, but passes on that the registry does not answer', async () => {
    const nothing = new LookalikeError('notFound', 'Expected a serving generation.');
    const outage = new LookalikeError('unavailable', 'Expected the registry to answer.');
    const over = (error: Error) => routerSearcher(strict<Router>('router', { currentTable: failing(error) }));
    expect(await over(nothing).currentTable('shop')).toBeUndefined();
    await expect(over(outage).currentTable('shop')).rejects.toBe(outage);
  });
});
