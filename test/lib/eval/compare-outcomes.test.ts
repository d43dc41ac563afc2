import { describe, expect, it } from 'vitest';
import type { QueryOutcome } from '../../../contracts/evaluation.ts';
import { compareOutcomes } from '../../../lib/eval/compare-outcomes.ts';
import { signTest } from '../../../lib/eval/sign-test.ts';

const outcomes = (ranks: (number | null)[], categoryOf: (i: number) => string | null = () => 'all'): QueryOutcome[] =>
  ranks.map((rank, i) => ({ image: `image-${i}`, label: `label-${i}`, category: categoryOf(i), rank }));

describe('compareOutcomes', () => {
  it('counts the queries that only one of the two answers right', () => {
    const mine = outcomes([1, 1, 2, null, 1, 7]);
    const theirs = outcomes([1, null, 1, 1, 3, 2]);
    expect(compareOutcomes(mine, theirs, 0)).toMatchObject({
      ...{ numQueries: 6, won: 2, lost: 2, candidate: 0.5, yardstick: 0.5, pWorse: signTest(2, 2) },
      ...{ numCategories: 0, categories: [] },
    });
  });

  it('tests categories with enough queries, the surest loss first, corrected for their number', () => {
    const categoryOf = (i: number): string | null => (i < 10 ? 'calm' : i < 20 ? 'worse' : i < 23 ? 'few' : null);
    const theirs = outcomes(Array<number>(30).fill(1), categoryOf);
    const mine = outcomes([...Array<number>(10).fill(1), ...Array<number>(20).fill(2)], categoryOf);
    const { categories, numCategories } = compareOutcomes(mine, theirs, 5);
    expect(numCategories).toBe(2);
    expect(categories.map(({ category }) => category)).toEqual(['worse', 'calm']);
    expect(categories[0]).toMatchObject({ lost: 10, won: 0, adjusted: signTest(0, 10) * 2 });
    expect(categories[1]).toMatchObject({ lost: 0, adjusted: 1 });
  });

  it('has nothing to tell of no queries', () => {
    expect(compareOutcomes([], [], 1)).toMatchObject({ numQueries: 0, won: 0, lost: 0, pWorse: 1, categories: [] });
  });

  it('refuses models that were judged by other queries', () => {
    expect(() => compareOutcomes(outcomes([1]), outcomes([1, 1]), 0)).toThrow(/same queries/);
    const other = outcomes([1]).map((query) => ({ ...query, label: 'another' }));
    expect(() => compareOutcomes(outcomes([1]), other, 0)).toThrow(/same queries/);
  });
});
