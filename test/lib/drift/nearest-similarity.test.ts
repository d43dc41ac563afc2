import { describe, expect, it } from 'vitest';
import { compareMeans, nearestSimilarities } from '../../../lib/drift/nearest-similarity.ts';

describe('how near queries are', () => {
  it('is the cosine of the nearest row', () => {
    const rows = Float32Array.of(1, 0, 0, 1, 0.6, 0.8);
    const queries = [Float32Array.of(1, 0), Float32Array.of(0.8, 0.6), Float32Array.of(-1, 0)];
    const found = [...nearestSimilarities(queries, rows, 2)];
    [1, 0.96, 0].forEach((expected, i) => expect(found[i]).toBeCloseTo(expected, 6));
  });

  it('compares two samples with the standard error of Welch', () => {
    const { before, now, standardError } = compareMeans(Float64Array.of(1, 2, 3), Float64Array.of(2, 4));
    expect([before, now]).toEqual([2, 3]);
    // Variances 1 and 2 over 3 and 2 values.
    expect(standardError).toBeCloseTo(Math.sqrt(1 / 3 + 2 / 2), 12);
  });

  it('tells nothing where there is nothing to tell from', () => {
    expect(compareMeans(new Float64Array(), Float64Array.of(1))).toEqual({ before: null, now: 1, standardError: null });
  });
});
