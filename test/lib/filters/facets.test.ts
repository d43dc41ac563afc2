import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../contracts/json.ts';
import { createBitmap, setBit } from '../../../lib/ann/bitmap.ts';
import { AttributeColumns } from '../../../lib/filters/attribute-columns.ts';
import { mergeFacets, shardFacet } from '../../../lib/filters/facets.ts';
import { textsOf } from '../../../lib/filters/values.ts';

const scalar = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom('a', '1', '__proto__'), fc.boolean());
const name = fc.constantFrom('p', '__proto__', 'constructor');
const item = fc.dictionary(name, fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.constant(null)));
/** An item of a shard, and whether the search may find it. */
const placed = fc.record({ item, shard: fc.nat({ max: 2 }), isAllowed: fc.boolean() });

/** Item by item, in the plainest words. */
function counted(items: readonly JsonObject[], attribute: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of items) {
    if (!Object.hasOwn(one, attribute)) continue;
    for (const text of new Set(textsOf(one[attribute]))) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return counts;
}

describe('facets', () => {
  it('of several shards together count what is counted item by item', () => {
    fc.assert(
      fc.property(fc.array(placed, { maxLength: 70 }), name, (all, attribute) => {
        const shards = [0, 1, 2].map((shard) => {
          const own = all.filter((one) => one.shard === shard);
          const columns = new AttributeColumns(own.length);
          const allowed = createBitmap(own.length);
          for (const [row, one] of own.entries()) {
            columns.set(row, one.item);
            if (one.isAllowed) setBit(allowed, row);
          }
          return shardFacet(columns.count(attribute, allowed));
        });
        const { values, maxError } = mergeFacets(attribute, shards, 1000);
        const expected = counted(
          all.filter((one) => one.isAllowed).map((one) => one.item),
          attribute,
        );
        expect(new Map(values.map(({ value, count }) => [value, count]))).toEqual(expected);
        expect(values.map(({ count }) => count)).toEqual([...expected.values()].sort((a, b) => b - a));
        expect(maxError).toBe(0);
      }),
    );
  });

  it('of shards that tell only their commonest values are too low by no more than they say', () => {
    const counts = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.integer({ min: 1, max: 9 }));
    fc.assert(
      fc.property(fc.array(counts, { minLength: 1, maxLength: 4 }), (shards) => {
        const told = shards.map((one) => shardFacet(Object.entries(one), 2));
        const { values, maxError } = mergeFacets('x', told, 1000);
        const all = new Set(shards.flatMap((one) => Object.keys(one)));
        for (const value of all) {
          const truth = shards.reduce((sum, one) => sum + (one[value] ?? 0), 0);
          const count = values.find((one) => one.value === value)?.count ?? 0;
          expect(count).toBeLessThanOrEqual(truth);
          expect(truth - count).toBeLessThanOrEqual(maxError);
        }
      }),
    );
  });

  it('count all rows where none are selected', () => {
    const columns = new AttributeColumns(3);
    columns.set(0, { size: ['s', 'm', 's'] });
    columns.set(1, { size: 'm' });
    expect(columns.count('size')).toEqual([
      ['s', 1],
      ['m', 2],
    ]);
    expect(columns.count('colour')).toEqual([]);
  });
});
