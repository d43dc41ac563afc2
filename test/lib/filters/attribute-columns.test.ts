import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AttributeFilter, Condition } from '../../../contracts/filters.ts';
import type { JsonObject } from '../../../contracts/json.ts';
import { hasBit } from '../../../lib/ann/bitmap.ts';
import { AttributeColumns } from '../../../lib/filters/attribute-columns.ts';
import { matchesFilter } from '../../../lib/filters/matches-filter.ts';

const ITEMS: JsonObject[] = [
  { price: 89, brand: 'acme', sizes: ['s', 'm'], sale: true },
  { price: '120.5', brand: 'acme', sizes: ['l'] },
  { price: 'on request', brand: 'other', sizes: [] },
  { brand: null, sale: 'true', maker: { name: 'acme' } },
];

/** @param before what the rows were at first */
function selected(
  filter: AttributeFilter,
  items: readonly JsonObject[] = ITEMS,
  before: readonly JsonObject[] = [],
): number[] {
  const columns = new AttributeColumns(items.length);
  for (const [row, attributes] of items.entries()) columns.set(row, before[row] ?? attributes);
  for (const row of before.keys()) if (row < items.length) columns.replace(row, items[row]!);
  const bitmap = columns.select(filter);
  return items.flatMap((_, row) => (hasBit(bitmap, row) ? [row] : []));
}

describe('filters', () => {
  it.each<[AttributeFilter, number[]]>([
    [{}, [0, 1, 2, 3]],
    [{ brand: 'acme' }, [0, 1]],
    [{ brand: { in: ['other', 'nobody'] } }, [2]],
    [{ price: { lte: 100 } }, [0]],
    [{ price: { gt: 89 } }, [1]],
    [{ price: { gte: 89, lt: 121 } }, [0, 1]],
    [{ price: '89' }, [0]],
    [{ price: 120.5 }, [1]],
    [{ sizes: 'm' }, [0]],
    [{ sizes: { in: ['l', 's'] } }, [0, 1]],
    [{ sale: true }, [0, 3]],
    [{ brand: 'acme', price: { lt: 100 } }, [0]],
    [{ maker: 'acme' }, []],
    [{ colour: 'red' }, []],
    [{ brand: 'null' }, []],
    [{ constructor: 'x' }, []],
  ])('%j selects the rows %j', (filter, rows) => {
    expect(selected(filter)).toEqual(rows);
    expect(ITEMS.flatMap((item, row) => (matchesFilter(filter, item) ? [row] : []))).toEqual(rows);
  });

  it('select by column what matches item by item, whatever items and filters are', () => {
    const scalar = fc.oneof(
      fc.integer({ min: -3, max: 3 }),
      fc.constantFrom('a', '1', '-2', '', ' ', 'true'),
      fc.boolean(),
    );
    const name = fc.constantFrom('p', 'q', '__proto__', 'toString');
    const item = fc.dictionary(name, fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.constant(null)));
    const limit = fc.option(fc.integer({ min: -3, max: 3 }), { nil: undefined });
    const condition: fc.Arbitrary<Condition> = fc.oneof(
      scalar,
      fc.record({ in: fc.array(scalar, { minLength: 1, maxLength: 3 }) }),
      fc.record({ gt: limit, gte: limit, lt: limit, lte: limit }),
    );
    fc.assert(
      fc.property(
        fc.array(item, { maxLength: 70 }),
        fc.array(item, { maxLength: 20 }),
        fc.dictionary(name, condition),
        (items, before, filter) => {
          const expected = items.flatMap((each, row) => (matchesFilter(filter, each) ? [row] : []));
          expect(selected(filter, items, before)).toEqual(expected);
        },
      ),
    );
  });

  it('never select a bit past the last row', () => {
    expect([...new AttributeColumns(33).select({})]).toEqual([0xffff_ffff, 1]);
    expect([...new AttributeColumns(0).select({})]).toEqual([]);
  });
});
