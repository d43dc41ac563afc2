import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frontier, speedAt } from '../../../infra/bench/curve.ts';

const point = fc.record({
  recall: fc.double({ min: 0, max: 1, noNaN: true }),
  queriesPerSecond: fc.double({ min: 1, max: 1e6, noNaN: true }),
});

describe('the frontier of a curve', () => {
  it('holds the points that no other beats, and only those', () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 20 }), (points) => {
        const best = frontier(points);
        for (const one of points) {
          const isBeaten = points.some(
            (other) =>
              other.recall >= one.recall &&
              other.queriesPerSecond >= one.queriesPerSecond &&
              (other.recall > one.recall || other.queriesPerSecond > one.queriesPerSecond),
          );
          const isThere = best.some(
            ({ recall, queriesPerSecond }) => recall === one.recall && queriesPerSecond === one.queriesPerSecond,
          );
          expect(isThere).toBe(!isBeaten);
        }
      }),
    );
  });

  it('never gets faster as recall grows', () => {
    fc.assert(
      fc.property(
        fc.array(point, { minLength: 1, maxLength: 20 }),
        fc.double({ min: 0, max: 0.9, noNaN: true }),
        (points, at) => {
          const [low, high] = [speedAt(points, at), speedAt(points, at + 0.1)];
          if (high !== null) expect(high).toBeLessThanOrEqual(low! * (1 + 1e-9));
        },
      ),
    );
  });
});

describe('the speed at a recall', () => {
  const points = [
    { recall: 0.8, queriesPerSecond: 1_000 },
    { recall: 0.9, queriesPerSecond: 100 },
    { recall: 0.85, queriesPerSecond: 50 },
  ];

  it('is straight in recall and the logarithm of the speed', () => {
    expect(speedAt(points, 0.85)).toBeCloseTo(Math.sqrt(1_000 * 100), 6);
    expect(speedAt(points, 0.9)).toBe(100);
  });

  it('below the lowest recall is that of the fastest point', () => {
    expect(speedAt(points, 0.1)).toBe(1_000);
  });

  it('above the highest recall is none, but for a rounding', () => {
    expect(speedAt(points, 0.901)).toBe(100);
    expect(speedAt(points, 0.95)).toBeNull();
    expect(speedAt([], 0.5)).toBeNull();
  });
});
