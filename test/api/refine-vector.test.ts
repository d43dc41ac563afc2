import { describe, expect, it } from 'vitest';
import { refineVector } from '../../api/search/refine-vector.ts';

const of = (...values: number[]): Float32Array => Float32Array.from(values);

describe('the vector of several examples', () => {
  it('is that of one, to the bit, when there is one', () => {
    const only = of(0.1, 0.2);
    expect(refineVector([only], [])).toBe(only);
  });
  it('is the mean of those that are wanted', () => {
    expect([...refineVector([of(1, 0), of(0, 1)], [])]).toEqual([0.5, 0.5]);
  });
  it('lies half as far again away from those that are not', () => {
    expect([...refineVector([of(1, 0)], [of(0, 1)])]).toEqual([1.5, -0.5]);
    expect([...refineVector([of(2, 0), of(0, 0)], [of(0, 2), of(0, 0)])]).toEqual([1.5, -0.5]);
  });
  it('needs a direction', () => {
    expect(() => refineVector([of(1, 0), of(-1, 0)], [])).toThrow(/cancel each other out/);
  });
});
