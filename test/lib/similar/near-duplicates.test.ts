import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collapse, NearDuplicates } from '../../../lib/similar/near-duplicates.ts';

const pairs = fc.array(fc.tuple(fc.nat(19), fc.nat(19)), { maxLength: 30 });

/** The lowest row that a walk over the pairs reaches from `row`. */
function reachable(row: number, edges: readonly (readonly [number, number])[]): number {
  const seen = new Set([row]);
  for (let grown = true; grown;) {
    grown = false;
    for (const [a, b] of edges) {
      if (seen.has(a) === seen.has(b)) continue;
      seen.add(a).add(b);
      grown = true;
    }
  }
  return Math.min(...seen);
}

describe('near-duplicates', () => {
  it('are what chains of pairs connect, named by their lowest row in whatever order they are joined', () => {
    fc.assert(
      fc.property(pairs, (edges) => {
        const groups = new NearDuplicates(20);
        for (const [a, b] of edges) groups.join(a, b);
        const expected = Array.from({ length: 20 }, (_, row) => reachable(row, edges));
        expect(expected.map((_, row) => groups.groupOf(row))).toEqual(expected);
        const sizes = [...Map.groupBy(expected, (group) => group).values()].map(({ length }) => length);
        const many = sizes.filter((size) => size > 1);
        expect(groups.count()).toEqual({ numGroups: many.length, numGrouped: many.reduce((sum, n) => sum + n, 0) });
      }),
      { seed: 1 },
    );
  });

  it('leave of a list the best of each other group and none of the own', () => {
    const groups = new NearDuplicates(8);
    groups.join(0, 1);
    groups.join(4, 5);
    const rows = [1, 5, 4, 2, 3].map((row) => ({ row }));
    expect(collapse(rows, 0, groups, 3)).toEqual([{ row: 5 }, { row: 2 }, { row: 3 }]);
    expect(collapse(rows, 0, groups, 2)).toEqual([{ row: 5 }, { row: 2 }]);
    expect(collapse(rows, 7, groups, 9)).toEqual([{ row: 1 }, { row: 5 }, { row: 2 }, { row: 3 }]);
  });
});
