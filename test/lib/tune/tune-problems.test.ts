import { describe, expect, it } from 'vitest';
import type { TuneConfig } from '../../../contracts/tuning.ts';
import { resolveRetrainConfig } from '../../../infra/recipes/resolve.ts';
import { tuneProblems } from '../../../lib/tune/tune-problems.ts';

const plain = resolveRetrainConfig();
const sound: TuneConfig = {
  base: { ...plain, train: { ...plain.train, epochs: 27 } },
  space: { 'train.optimizer.learningRate': { kind: 'float', low: 1e-4, high: 1, scale: 'log' } },
  search: { kind: 'tpe', startup: 5, candidates: 24, gamma: 0.15 },
  scheduler: { kind: 'asha', minEpochs: 1, eta: 3 },
  ...{ numTrials: 20, concurrency: 4, retries: 2, seed: 1 },
};

describe('tuneProblems', () => {
  it.each<[string, TuneConfig['scheduler']]>([
    ['asha', sound.scheduler],
    ['none', { kind: 'none' }],
    ['the median rule', { kind: 'medianStop', grace: 3, every: 3 }],
    ['hyperband', { kind: 'hyperband', eta: 3 }],
    ['a population', { kind: 'pbt', every: 3, quantile: 0.25 }],
  ])('finds nothing in a sound search with %s', (_, scheduler) => {
    expect(tuneProblems({ ...sound, scheduler })).toEqual([]);
  });

  it.each<[string, Partial<TuneConfig>, RegExp]>([
    ['no trial', { numTrials: 0 }, /at least one trial, got 0/],
    ['no place to run', { concurrency: 0 }, /concurrency of at least 1/],
    ['a grid of nothing', { search: { kind: 'grid', points: 0 } }, /search\.points/],
    ['a share beyond all', { search: { kind: 'tpe', startup: 5, candidates: 9, gamma: 1 } }, /search\.gamma/],
    ['a start as long as the search', { numTrials: 5 }, /all 5 trials would be random/],
    ['rungs that do not shrink', { scheduler: { kind: 'hyperband', eta: 1 } }, /scheduler\.eta: expected at least 2/],
    ['rungs beyond the end', { scheduler: { kind: 'asha', minEpochs: 27, eta: 3 } }, /less than the 27 epochs/],
    ['no rung at all', { scheduler: { kind: 'hyperband', eta: 28 } }, /there is no rung/],
    ['a grace beyond the end', { scheduler: { kind: 'medianStop', grace: 30, every: 1 } }, /scheduler\.grace/],
    ['a check at no time', { scheduler: { kind: 'medianStop', grace: 3, every: 0 } }, /scheduler\.every/],
    ['more than all swapped', { scheduler: { kind: 'pbt', every: 3, quantile: 0.6 } }, /scheduler\.quantile/],
    ['generations beyond the end', { scheduler: { kind: 'pbt', every: 27, quantile: 0.2 } }, /less than the 27 epochs/],
    [
      'its own budget',
      { space: { 'train.epochs': { kind: 'int', low: 1, high: 9, scale: 'linear' } } },
      /train\.epochs/,
    ],
    [
      'a population whose shape would change on the way',
      {
        scheduler: { kind: 'pbt', every: 3, quantile: 0.2 },
        space: { 'train.dim': { kind: 'choice', values: [32, 64] } },
      },
      /train\.dim: cannot change while a training goes on/,
    ],
  ])('refuses %s', (_, change, reason) => {
    expect(tuneProblems({ ...sound, ...change }).join('\n')).toMatch(reason);
  });
});
