import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { holm, pairedInterval, signTest } from '../../../lib/eval/sign-test.ts';
import { randomOf } from '../../../lib/train/random.ts';

/** Exact in integers: the sum of binomials over 2^n. */
function exact(won: number, lost: number): number {
  const n = won + lost;
  let [term, sum] = [1n, 0n];
  for (let k = 0; k <= n; k++) {
    if (k >= lost) sum += term;
    term = (term * BigInt(n - k)) / BigInt(k + 1);
  }
  return Number((sum * 10n ** 30n) / 2n ** BigInt(n)) / 1e30;
}

describe('signTest', () => {
  it('is the tail of the binomial distribution', () => {
    expect(signTest(0, 0)).toBe(1);
    expect(signTest(0, 1)).toBe(0.5);
    expect(signTest(5, 0)).toBe(1);
    expect(signTest(0, 5)).toBeCloseTo(1 / 32, 15);
    expect(signTest(8, 12)).toBeCloseTo(0.25172, 5);
    fc.assert(
      fc.property(fc.nat(80), fc.nat(80), (won, lost) => {
        expect(signTest(won, lost)).toBeCloseTo(exact(won, lost), 12);
      }),
    );
  });

  it('stays finite and right for many queries', () => {
    expect(signTest(50_000, 50_000)).toBeCloseTo(0.5 + 0.5 * Math.sqrt(2 / (Math.PI * 100_000)), 5);
    expect(signTest(0, 10_000)).toBe(0);
    expect(signTest(10_000, 0)).toBe(1);
    // 4 standard deviations above the mean.
    expect(signTest(49_368, 50_632) / 3.3e-5).toBeCloseTo(1, 1);
  });

  it('calls an equally good model worse no more often than it says', () => {
    const random = randomOf('sign test');
    const runs = 2_000;
    let called = 0;
    for (let run = 0; run < runs; run++) {
      let lost = 0;
      for (let i = 0; i < 40; i++) lost += random() < 0.5 ? 1 : 0;
      if (signTest(40 - lost, lost) < 0.05) called++;
    }
    expect(called / runs).toBeLessThan(0.06);
    expect(called / runs).toBeGreaterThan(0.02);
  });
});

describe('holm', () => {
  it('multiplies the smallest by all, the next by one less, and never falls', () => {
    const corrected = holm([0.04, 0.01, 0.03]);
    expect(corrected[1]).toBeCloseTo(0.03, 12);
    expect(corrected[2]).toBeCloseTo(0.06, 12);
    expect(corrected[0]).toBeCloseTo(0.06, 12);
    expect(holm([])).toEqual([]);
    expect(holm([0.7, 0.9])).toEqual([1, 1]);
  });
});

describe('pairedInterval', () => {
  it('is as in the formula, around the difference, and as narrow as there are queries', () => {
    const [low, high] = pairedInterval(100, 5, 15);
    // (6 - 16) / 102 -+ 1.96 * sqrt((22 / 102 - (10 / 102)^2) / 102)
    const half = 1.959963984540054 * Math.sqrt((22 / 102 - (10 / 102) ** 2) / 102);
    expect(low).toBeCloseTo(-10 / 102 - half, 12);
    expect(high).toBeCloseTo(-10 / 102 + half, 12);
    const [wideLow, wideHigh] = pairedInterval(10, 0, 10);
    expect(wideLow).toBeGreaterThanOrEqual(-1);
    expect(wideHigh).toBeLessThan(0);
  });

  it('holds the true difference in about 95 of 100 cases', () => {
    const random = randomOf('interval');
    const [p10, p01, n] = [0.08, 0.12, 150];
    let held = 0;
    for (let run = 0; run < 1_000; run++) {
      let [won, lost] = [0, 0];
      for (let i = 0; i < n; i++) {
        const at = random();
        if (at < p10) won++;
        else if (at < p10 + p01) lost++;
      }
      const [low, high] = pairedInterval(n, won, lost);
      if (low <= p10 - p01 && p10 - p01 <= high) held++;
    }
    expect(held / 1_000).toBeGreaterThan(0.93);
  });
});
