import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../contracts/json.ts';
import type { SearchSpace } from '../../../contracts/tuning.ts';
import { randomOf } from '../../../lib/train/random.ts';
import { combinations } from '../../../lib/tune/combinations.ts';
import { everyValue } from '../../../lib/tune/dimension.ts';
import { createParzenEstimator, cumulative } from '../../../lib/tune/parzen.ts';
import { tpeCandidates } from '../../../lib/tune/tpe.ts';

const space: SearchSpace = {
  loss: { kind: 'choice', values: ['a', 'b', 'c'] },
  width: { kind: 'int', low: 1, high: 16, scale: 'log' },
  margin: { kind: 'float', low: 0, high: 1, scale: 'linear', step: 0.25, when: { loss: ['a', 'c'] } },
};
const observations: JsonObject[] = [
  { loss: 'a', width: 3, margin: 0.25 },
  { loss: 'a', width: 4, margin: 0.5 },
  { loss: 'b', width: 16 },
];

describe('the Parzen estimator', () => {
  it('is a probability: over all combinations of a discrete space it adds up to one', () => {
    for (const known of [observations, observations.slice(0, 1), []]) {
      const density = createParzenEstimator(space, known);
      const all = [...combinations(space, everyValue)].map((params) => Math.exp(density.logDensity(params)));
      expect(all.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
    }
  });

  it('is a density: over a continuous space it integrates to one', () => {
    const flat: SearchSpace = { x: { kind: 'float', low: -2, high: 3, scale: 'linear' } };
    const density = createParzenEstimator(flat, [{ x: -1.9 }, { x: 1 }, { x: 1.1 }]);
    const steps = 5000;
    const places = Array.from({ length: steps }, (_, i) => -2 + (5 * (i + 0.5)) / steps);
    const sum = places.reduce((all, x) => all + Math.exp(density.logDensity({ x })), 0);
    expect((sum * 5) / steps).toBeCloseTo(1, 4);
  });

  it('draws what its density says', () => {
    const density = createParzenEstimator(space, observations);
    const uniform = randomOf(7);
    const numDrawn = 20_000;
    const counts = new Map<string, number>();
    for (let i = 0; i < numDrawn; i++) {
      const key = JSON.stringify(density.sample(uniform));
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    for (const params of combinations(space, everyValue)) {
      const said = Math.exp(density.logDensity(params));
      const drawn = (counts.get(JSON.stringify(params)) ?? 0) / numDrawn;
      // Four standard deviations of a share.
      expect(Math.abs(drawn - said)).toBeLessThan(4 * Math.sqrt(said / numDrawn) + 1e-4);
    }
  });

  it('knows the normal distribution', () => {
    expect(cumulative(0)).toBeCloseTo(0.5, 6);
    expect(cumulative(1.959964)).toBeCloseTo(0.975, 6);
    expect(cumulative(-1.959964)).toBeCloseTo(0.025, 6);
  });
});

describe('tpeCandidates', () => {
  it('looks where the good ones are and the others are not', () => {
    const flat: SearchSpace = { x: { kind: 'float', low: 0, high: 1, scale: 'linear' } };
    // Good around 0.8, bad everywhere else.
    const good = [0.79, 0.8, 0.81].map((x) => ({ x }));
    const bad = Array.from({ length: 17 }, (_, i) => ({ x: (i * 0.7) / 17 }));
    const settings = { candidates: 24, gamma: 0.15 };
    for (let seed = 0; seed < 20; seed++) {
      const [first] = tpeCandidates(flat, [...good, ...bad], settings, randomOf(seed));
      expect(Number(first!['x'])).toBeGreaterThan(0.7);
    }
  });

  it('orders its candidates by good over others (eq. 8), the same for the same seed', () => {
    const settings = { candidates: 12, gamma: 0.34 };
    const candidates = tpeCandidates(space, observations, settings, randomOf(3));
    expect(candidates).toHaveLength(12);
    expect(tpeCandidates(space, observations, settings, randomOf(3))).toEqual(candidates);
    const l = createParzenEstimator(space, observations.slice(0, 2));
    const g = createParzenEstimator(space, observations.slice(2));
    const scores = candidates.map((params) => l.logDensity(params) - g.logDensity(params));
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  });
});
