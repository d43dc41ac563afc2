import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calibrationError, fitCalibration, MIN_PAIRS_OF_A_KIND, probabilityOf } from '../../../lib/eval/calibration.ts';
import type { LabelledPair } from '../../../lib/eval/calibration.ts';
import { randomFrom } from '../../../lib/images/random.ts';

/** Just enough pairs, of distinct scores, so that no two need be joined. */
const fewPairs = fc
  .tuple(
    fc.shuffledSubarray(
      Array.from({ length: 64 }, (_, i) => i),
      { minLength: 60, maxLength: 64 },
    ),
    fc.integer({ min: 30, max: 34 }),
  )
  .map(([order, numSame]) =>
    order
      .map((rank, i): LabelledPair => ({ score: rank / 64, isSame: i < Math.min(numSame, order.length - 30) }))
      .sort((a, b) => a.score - b.score),
  );

/** The isotonic fit by its max-min formula, cubic and without any pooling. */
function isotonic(pairs: readonly LabelledPair[]): number[] {
  const mean = (from: number, to: number): number =>
    pairs.slice(from, to + 1).filter(({ isSame }) => isSame).length / (to + 1 - from);
  return pairs.map((_, i) => {
    let best = -Infinity;
    for (let from = 0; from <= i; from++) {
      let least = Infinity;
      for (let to = i; to < pairs.length; to++) least = Math.min(least, mean(from, to));
      best = Math.max(best, least);
    }
    return best;
  });
}

/** Pairs whose truth is known: the probability of being the same is the score squared. */
function drawn(count: number, seed: number): LabelledPair[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => {
    const score = random();
    return { score, isSame: random() < score ** 2 };
  });
}

describe('calibration', () => {
  it('is the isotonic fit of the pairs, by its own formula', () => {
    fc.assert(
      fc.property(fewPairs, (pairs) => {
        const knots = fitCalibration(pairs)!;
        const margin = 1 / (pairs.length + 2);
        const expected = [...new Set(isotonic(pairs))].map((rate) => Math.min(1 - margin, Math.max(margin, rate)));
        expect(knots.map(([, probability]) => probability).map((p) => p.toFixed(9))).toEqual(
          expected.map((p) => p.toFixed(9)),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('never falls as the score rises, and promises no certainty', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 2 }), (seed, at) => {
        const knots = fitCalibration(drawn(300, seed))!;
        const probabilities = [...at].sort((a, b) => a - b).map((score) => probabilityOf(knots, score));
        for (const [i, probability] of probabilities.entries()) {
          expect(probability).toBeGreaterThan(0);
          expect(probability).toBeLessThan(1);
          if (i > 0) expect(probability).toBeGreaterThanOrEqual(probabilities[i - 1]! - 1e-12);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('finds the truth that pairs were drawn by, and tells how far off it is on others', () => {
    const knots = fitCalibration(drawn(20_000, 1))!;
    expect(knots.length).toBeLessThanOrEqual(64);
    for (const score of [0.2, 0.4, 0.6, 0.8, 0.9])
      expect(Math.abs(probabilityOf(knots, score) - score ** 2)).toBeLessThan(0.05);
    expect(calibrationError(knots, drawn(20_000, 2))).toBeLessThan(0.015);
    // Twice as sure as it should be.
    const boastful = knots.map(([score, p]): [number, number] => [score, Math.min(0.99, 2 * p)]);
    expect(calibrationError(boastful, drawn(20_000, 2))).toBeGreaterThan(0.15);
  });

  it('gives pairs of equal score one probability, whatever their order', () => {
    const pairs = Array.from({ length: 200 }, (_, i) => ({
      score: i < 100 ? 0.5 : 0.9,
      isSame: i % 4 === 0 || i >= 150,
    }));
    const knots = fitCalibration(pairs)!;
    expect(fitCalibration([...pairs].reverse())).toEqual(knots);
    expect(probabilityOf(knots, 0.5)).toBeCloseTo(0.25, 9);
  });

  it('is none where there are too few pairs of a kind', () => {
    const pairs = (numSame: number): LabelledPair[] =>
      Array.from({ length: 200 }, (_, i) => ({ score: i, isSame: i < numSame }));
    expect(fitCalibration(pairs(MIN_PAIRS_OF_A_KIND - 1))).toBeUndefined();
    expect(fitCalibration(pairs(MIN_PAIRS_OF_A_KIND))).toBeDefined();
    expect(fitCalibration([])).toBeUndefined();
  });
});
