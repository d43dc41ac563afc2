import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recallOf } from '../../../lib/eval/recall-of.ts';

const hit = (id: string, score: number): { id: string; score: number } => ({ id, score });

describe('recall of one answer', () => {
  it('is whole when the answer is the truth, also where ties at the end are named differently', () => {
    const truth = [hit('a', 3), hit('b', 2), hit('c', 1)];
    expect(recallOf(truth, truth)).toEqual({ expected: 3, found: 3 });
    expect(recallOf([...truth.slice(0, 2), hit('d', 1)], truth)).toEqual({ expected: 3, found: 3 });
    expect(recallOf([hit('a', 3), hit('d', 0.5)], truth)).toEqual({ expected: 3, found: 1 });
    expect(recallOf([], [])).toEqual({ expected: 0, found: 0 });
  });

  it('counts as many of the true ones as a subset of all that was found shows, and only as deep as the truth', () => {
    const scores = fc.uniqueArray(fc.integer(), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(scores, fc.infiniteStream(fc.boolean()), fc.integer({ min: 1, max: 12 }), (all, keep, k) => {
        const ranked = all.sort((a, b) => b - a).map((score) => hit(String(score), score));
        const found = ranked.filter(() => keep.next().value);
        const truth = ranked.slice(0, k);
        const missed = truth.filter((one) => !found.includes(one)).length;
        expect(recallOf(found, truth)).toEqual({ expected: truth.length, found: truth.length - missed });
      }),
    );
  });
});
