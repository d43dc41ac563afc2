import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareCandidates, placeOf } from '../../api/search/ranking.ts';
import type { Candidate, Ranked } from '../../api/search/ranking.ts';
import { pageOf } from '../../api/search/page.ts';

const candidate = (id: string, score: number, label: string | null): Candidate => ({
  item: { id, image: '', category: null, label, title: null, attributes: { brand: label ?? [] } },
  score,
});

/** Few scores and labels, so that ties and groups are common. */
const candidates = fc
  .uniqueArray(
    fc.record({
      id: fc.string({ minLength: 1, maxLength: 3 }),
      score: fc.integer({ min: -2, max: 5 }).map((n) => n / 4),
      label: fc.option(fc.constantFrom('x', 'y', 'z')),
    }),
    { selector: ({ id }) => id, maxLength: 40 },
  )
  .map((all) => all.map(({ id, score, label }) => candidate(id, score, label)).sort(compareCandidates));

/** Page after page, as a caller asks; what each page is made of may grow. */
function* pages(of: (page: number) => Candidate[], k: number, groupBy?: string): Generator<Ranked[]> {
  let last: Ranked | undefined;
  for (let number = 0; ; number++) {
    const { hits, hasMore } = pageOf(of(number), { k, groupBy }, last && placeOf(last));
    yield hits;
    last = hits.at(-1);
    if (!hasMore || last === undefined) return;
  }
}

/** The first of each label, by quadratic search. */
const bestOfGroups = (all: Candidate[]): Candidate[] =>
  all.filter(({ item }, i) => item.label === null || !all.slice(0, i).some((other) => other.item.label === item.label));

const idsOf = (hits: Candidate[]): string[] => hits.map(({ item }) => item.id);

describe('pages of an answer', () => {
  it('put together are the whole ranking, with groups and without', () => {
    fc.assert(
      fc.property(candidates, fc.integer({ min: 1, max: 5 }), (all, k) => {
        expect(idsOf([...pages(() => all, k)].flat())).toEqual(idsOf(all));
        expect(idsOf([...pages(() => all, k, 'label')].flat())).toEqual(idsOf(bestOfGroups(all)));
        expect(idsOf([...pages(() => all, k, 'brand')].flat())).toEqual(idsOf(bestOfGroups(all)));
      }),
    );
  });

  it('never show an item or a group twice, though later pages find more than earlier ones did', () => {
    const missed = fc.array(fc.nat({ max: 3 }), { minLength: 40, maxLength: 40 });
    fc.assert(
      fc.property(candidates, missed, fc.integer({ min: 1, max: 4 }), (all, foundFrom, k) => {
        const found = (page: number): Candidate[] => all.filter((_, i) => foundFrom[i]! <= page);
        for (const groupBy of [undefined, 'label']) {
          const shown = [...pages(found, k, groupBy)].flat();
          expect(new Set(idsOf(shown)).size).toBe(shown.length);
          const groups = shown.flatMap(({ group }) => group ?? []);
          expect(new Set(groups).size).toBe(groups.length);
          expect([...shown].sort(compareCandidates)).toEqual(shown);
        }
      }),
    );
  });

  it('tell the next best of each group, and let an item without one stand for itself', () => {
    const all = [candidate('a', 5, 'x'), candidate('b', 4, null), candidate('c', 3, 'x'), candidate('d', 2, 'x')];
    const { hits } = pageOf([...all, candidate('e', 1, null)], { k: 9, groupBy: 'label', groupSize: 2 }, undefined);
    expect(hits.map(({ item, group, more }) => [item.id, group, idsOf(more)])).toEqual([
      ['a', 'x', ['c']],
      ['b', null, []],
      ['e', null, []],
    ]);
  });
});
