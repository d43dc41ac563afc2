import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../contracts/ann.ts';
import { createBuilder } from '../../../lib/ann/index.ts';

describe('a vector', () => {
  it.each(METRICS)('is refused when it is too long to be scored, as a row and as a query (%s)', async (metric) => {
    const builder = createBuilder({ kind: 'exact', metric }, 3);
    const tooLong = Float32Array.of(3e38, 3e38, -3e38);
    const refused = expect.objectContaining({ code: 'nonFinite' }) as Error;
    expect(() => builder.add(tooLong)).toThrow(refused);
    expect(() => builder.add(tooLong)).toThrow('at most 1000000000000000000 long');
    builder.add(Float32Array.of(1, 2, 3));
    const index = await builder.build();
    expect(() => index.search(tooLong, { k: 1 })).toThrow(refused);
    await expect(index.searchBatch(tooLong, { k: 1 })).rejects.toMatchObject({ code: 'nonFinite' });
  });

  it.each(METRICS)('has finite scores as long as it is taken (%s)', async (metric) => {
    const builder = createBuilder({ kind: 'exact', metric }, 2);
    const longest = [Float32Array.of(9.9e17, 0), Float32Array.of(0, 9.9e17), Float32Array.of(-9.9e17, 0)];
    for (const vector of longest) builder.add(vector);
    const index = await builder.build();
    const { rows, scores } = index.search(longest[0]!, { k: 3 });
    expect([...rows]).toEqual([0, 1, 2]);
    expect([...scores].every(Number.isFinite)).toBe(true);
  });

  it('that is not finite is told with the place', () => {
    const builder = createBuilder({ kind: 'exact', metric: 'l2' }, 3);
    for (const value of [NaN, Infinity, -Infinity]) {
      expect(() => builder.add(Float32Array.of(1, value, 2))).toThrow(`got ${value} at position 1.`);
    }
  });
});
