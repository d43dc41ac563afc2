import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rerank } from '../../../lib/rerank/rerank.ts';
import type { RerankCandidate } from '../../../lib/rerank/rerank.ts';

const DIM = 3;
const component = fc.integer({ min: -3, max: 3 });
const vector = fc
  .array(component, { minLength: DIM, maxLength: DIM })
  .filter((values) => values.some((value) => value !== 0))
  .map((values) => Float32Array.from(values));
const cosine = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, x, i) => sum + x * b[i]!, 0) / Math.hypot(...a) / Math.hypot(...b);

/** As an exact search finds them: by cosine. */
const found = fc.record({ query: vector, vectors: fc.array(vector, { maxLength: 12 }) }).map(({ query, vectors }) => ({
  query,
  candidates: vectors
    .map((each): RerankCandidate => ({ score: cosine(query, each), vector: each, boost: 0 }))
    .sort((a, b) => b.score - a.score),
}));

const near = (a: number, b: number): boolean => Math.abs(a - b) < 1e-5;

describe('re-ranking', () => {
  it('without any option keeps the order and the scores', () => {
    fc.assert(
      fc.property(found, ({ query, candidates }) => {
        const ranked = rerank(query, candidates, {});
        expect(ranked.map(({ index }) => index)).toEqual(candidates.map((_, i) => i));
        expect(ranked.map(({ rankScore }) => rankScore)).toEqual(candidates.map(({ score }) => score));
      }),
    );
  });

  it('by diversity picks what no other pick beats, value by value, as the definition says', () => {
    fc.assert(
      fc.property(found, fc.integer({ min: 1, max: 10 }), ({ query, candidates }, tenths) => {
        const lambda = 1 - tenths / 10;
        const ranked = rerank(query, candidates, { diversity: tenths / 10 });
        const picked: Float32Array[] = [];
        const left = new Set(candidates.keys());
        // The definition, computed anew for every pick.
        const value = (i: number): number => {
          const own = candidates[i]!.vector;
          const likeness = Math.max(-1, ...picked.map((each) => cosine(each, own)));
          return lambda * cosine(query, own) - (1 - lambda) * likeness;
        };
        for (const { index, rankScore } of ranked) {
          expect(near(rankScore, value(index))).toBe(true);
          expect(value(index)).toBeGreaterThan(Math.max(...[...left].map(value)) - 1e-5);
          left.delete(index);
          picked.push(candidates[index]!.vector);
        }
        expect(left.size).toBe(0);
        for (const [i, { rankScore }] of ranked.entries()) {
          if (i > 0) expect(rankScore).toBeLessThanOrEqual(ranked[i - 1]!.rankScore);
        }
      }),
    );
  });

  it('keeps of near-duplicates the first, and nothing is left out without one that is like it', () => {
    fc.assert(
      fc.property(found, fc.constantFrom(0.5, 0.95, 0.9999), ({ query, candidates }, nearDuplicateScore) => {
        const ranked = rerank(query, candidates, { nearDuplicateScore });
        const kept = ranked.map(({ index }) => index);
        const like = (i: number, j: number): number => cosine(candidates[i]!.vector, candidates[j]!.vector);
        for (const [n, i] of kept.entries()) {
          for (const j of kept.slice(0, n)) expect(like(i, j)).toBeLessThan(nearDuplicateScore + 1e-5);
        }
        for (const i of candidates.keys()) {
          if (kept.includes(i)) continue;
          expect(kept.some((j) => j < i && like(i, j) > nearDuplicateScore - 1e-5)).toBe(true);
        }
      }),
    );
  });

  it('adds boosts to what the stages before made of the score, and so keeps their work', () => {
    const at = (degrees: number, boost = 0): RerankCandidate => {
      const radians = (degrees * Math.PI) / 180;
      return { score: Math.cos(radians), vector: Float32Array.of(Math.cos(radians), Math.sin(radians), 0), boost };
    };
    const query = Float32Array.of(2, 0, 0);
    const order = (candidates: RerankCandidate[], options: Parameters<typeof rerank>[2]): number[] =>
      rerank(query, candidates, options).map(({ index }) => index);
    // Two of one kind, and one that is less relevant on the other side.
    expect(order([at(5), at(8), at(-20)], {})).toEqual([0, 1, 2]);
    expect(order([at(5), at(8), at(-20)], { diversity: 0.5 })).toEqual([0, 2, 1]);
    expect(order([at(5), at(8), at(-20)], { diversity: 0.5, nearDuplicateScore: 0.99 })).toEqual([0, 2]);
    expect(order([at(5), at(8), at(-20, 0.1)], {})).toEqual([2, 0, 1]);
    expect(order([at(5), at(8, 0.001), at(-20)], { diversity: 0.5 })).toEqual([0, 2, 1]);
  });
});
