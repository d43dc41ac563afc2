/**
 * The exact one-sided sign test, which for paired hits and misses is McNemar's: the chance that of `won + lost` queries on which two
 * equally good models differ, `lost` or more are lost. 1 where they differ on none.
 */
export function signTest(won: number, lost: number): number {
  const n = won + lost;
  // P(X >= lost) for X ~ Binomial(n, 1/2); of the two tails the one whose terms fall from its first on.
  return lost > won ? upperTail(n, lost) : 1 - upperTail(n, won + 1);
}

/** P(X >= k) for X ~ Binomial(n, 1/2) and k above n / 2. */
function upperTail(n: number, k: number): number {
  if (k > n) return 0;
  // The first term in logarithms, for n in the millions; the following ones are its multiples.
  let logTerm = -n * Math.LN2;
  for (let i = 1; i <= n - k; i++) logTerm += Math.log((k + i) / i);
  let [term, sum] = [1, 1];
  for (let i = k; i < n && term > sum * Number.EPSILON; i++) {
    term *= (n - i) / (i + 1);
    sum += term;
  }
  return Math.exp(logTerm) * sum;
}

/**
 * Corrects p-values for being several (Holm 1979): refusing at the corrected ones is wrong about any of them with at most the chance
 * that one alone would be. In the order given.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!);
  const adjusted = Array<number>(pValues.length).fill(1);
  let floor = 0;
  order.forEach((i, rank) => {
    floor = Math.max(floor, Math.min(1, pValues[i]! * (pValues.length - rank)));
    adjusted[i] = floor;
  });
  return adjusted;
}

/** 97.5% quantile of the normal distribution. */
const Z95 = 1.959963984540054;

/**
 * 95% interval of the difference of two paired shares, (won - lost) / n (Bonett and Price 2012: Wald's with one pair
 * added to each of the two kinds that differ). Clipped to what a difference can be.
 */
export function pairedInterval(numPairs: number, won: number, lost: number): [number, number] {
  const n = numPairs + 2;
  const [up, down] = [(won + 1) / n, (lost + 1) / n];
  const half = Z95 * Math.sqrt((up + down - (up - down) ** 2) / n);
  return [Math.max(-1, up - down - half), Math.min(1, up - down + half)];
}
