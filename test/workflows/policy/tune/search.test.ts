import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../contracts/json.ts';
import type { SearchConfig, SearchSpace, Trial } from '../../../../contracts/tuning.ts';
import { suggestParams } from '../../../../workflows/policy/tune/suggest.ts';
import { configOf, drive, trialOf } from './drive.ts';

/** Branin with a categorical and a conditional dimension on top; the best is 0, and only with loss `b`. */
const space: SearchSpace = {
  x: { kind: 'float', low: -5, high: 10, scale: 'linear' },
  y: { kind: 'float', low: 0, high: 15, scale: 'linear' },
  rate: { kind: 'float', low: 1e-5, high: 1, scale: 'log' },
  loss: { kind: 'choice', values: ['a', 'b', 'c'] },
  margin: { kind: 'float', low: 0, high: 1, scale: 'linear', when: { loss: ['b'] } },
};

function branin(x: number, y: number): number {
  const [b, c, t] = [5.1 / (4 * Math.PI ** 2), 5 / Math.PI, 1 / (8 * Math.PI)];
  return (y - b * x ** 2 + c * x - 6) ** 2 + 10 * (1 - t) * Math.cos(x) + 10;
}

function valueOf({ x, y, rate, loss, margin }: JsonObject): number {
  const distance = (branin(Number(x), Number(y)) - 0.397887) / 20 + (Math.log10(Number(rate)) + 2) ** 2 / 4;
  return -(distance + (loss === 'b' ? (Number(margin) - 0.3) ** 2 * 4 : 1));
}

function bestOf(search: SearchConfig, seed: number): number {
  const config = configOf({ space, search, seed, numTrials: 80, concurrency: 4, epochs: 1 });
  const { trials } = drive(config, { objective: ({ params }) => valueOf(params) });
  return Math.max(...trials.map(({ params }) => valueOf(params)));
}

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('search by the tree-structured Parzen estimator', () => {
  it('ends nearer to the best than random search: less than half as far, and so for at least seven of eight seeds', () => {
    const random = SEEDS.map((seed) => bestOf({ kind: 'random' }, seed));
    const tpe = SEEDS.map((seed) => bestOf({ kind: 'tpe', startup: 10, candidates: 24, gamma: 0.15 }, seed));
    expect(mean(tpe)).toBeGreaterThan(mean(random) / 2);
    expect(tpe.filter((value, i) => value > random[i]!).length).toBeGreaterThanOrEqual(7);
  });

  it('begins with the same random trials as random search', () => {
    const trials: Trial[] = [];
    for (let i = 0; i < 4; i++) {
      const tpe = configOf({ space, search: { kind: 'tpe', startup: 4, candidates: 8, gamma: 0.2 } });
      const params = suggestParams(tpe, trials)!;
      expect(params).toEqual(suggestParams({ ...tpe, search: { kind: 'random' } }, trials));
      trials.push(trialOf(i, { params, status: 'done', reports: [{ epoch: 1, value: valueOf(params) }] }));
    }
    const next = configOf({ space, search: { kind: 'tpe', startup: 4, candidates: 8, gamma: 0.2 } });
    expect(suggestParams(next, trials)).not.toEqual(suggestParams({ ...next, search: { kind: 'random' } }, trials));
  });

  it('keeps away from what runs and from what has failed', () => {
    const flat: SearchSpace = { 'train.featureDropout': { kind: 'float', low: 0, high: 1, scale: 'linear' } };
    const config = configOf({ space: flat, search: { kind: 'tpe', startup: 2, candidates: 50, gamma: 0.25 } });
    const at = (id: number, x: number, value: number): Trial =>
      trialOf(id, { params: { 'train.featureDropout': x }, reports: [{ epoch: 1, value }], status: 'done' });
    const known = [at(0, 0.5, 0.9), at(1, 0.1, 0.1), at(2, 0.95, 0.2), at(3, 0.3, 0.5)];
    const suggested = (id: number, change: Partial<Trial>): number => {
      const others = [0.5, 0.52, 0.48, 0.51, 0.49].map((x, i) =>
        trialOf(id + i, { params: { 'train.featureDropout': x }, ...change }),
      );
      return Number(suggestParams(config, [...known, ...others])!['train.featureDropout']);
    };
    for (const change of [{ status: 'running' as const }, { status: 'failed' as const, failures: 3 }]) {
      expect(Math.abs(suggested(4, change) - 0.5)).toBeGreaterThan(0.05);
    }
  });
});

describe('search by a grid', () => {
  it('takes all combinations in order, and then no more', () => {
    const small: SearchSpace = {
      rate: { kind: 'float', low: 0.01, high: 1, scale: 'log' },
      loss: { kind: 'choice', values: ['a', 'b'] },
    };
    const config = configOf({ space: small, search: { kind: 'grid', points: 3 }, numTrials: 50 });
    const { trials } = drive(config, { objective: () => 1 });
    expect(trials.map(({ params }) => Object.values(params))).toEqual([
      [0.01, 'a'],
      [0.01, 'b'],
      [0.1, 'a'],
      [0.1, 'b'],
      [1, 'a'],
      [1, 'b'],
    ]);
  });
});
