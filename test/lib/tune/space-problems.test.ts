import { describe, expect, it } from 'vitest';
import type { Dimension, SearchSpace } from '../../../contracts/tuning.ts';
import { MAX_COMBINATIONS, spaceProblems } from '../../../lib/tune/space-problems.ts';

const rate: Dimension = { kind: 'float', low: 1e-4, high: 1, scale: 'log' };
const loss: Dimension = { kind: 'choice', values: ['a', 'b', 'c'] };
const num = (change: Partial<Extract<Dimension, { kind: 'float' }>>): SearchSpace => ({
  x: { kind: 'float', low: 0, high: 1, scale: 'linear', ...change },
});
const int = (change: Partial<Extract<Dimension, { kind: 'int' }>>): SearchSpace => ({
  x: { kind: 'int', low: 0, high: 10, scale: 'linear', ...change },
});

describe('spaceProblems', () => {
  it('finds nothing in a sound space', () => {
    const space: SearchSpace = {
      rate,
      loss,
      margin: { kind: 'float', low: 0, high: 1, scale: 'linear', step: 0.1, when: { loss: ['a', 'b'] } },
      'part.inner': { kind: 'int', low: 1, high: 64, scale: 'log', when: { margin: [0.3], loss: ['a'] } },
    };
    expect(spaceProblems(space)).toEqual([]);
    expect(spaceProblems(space, { kind: 'grid', points: 3 })).toEqual([]);
  });

  it.each<[string, SearchSpace, RegExp]>([
    ['nothing to vary', {}, /empty space/],
    ['an empty part of a path', { 'train..dim': loss }, /Expected paths such as .* got "train\.\.dim"/],
    ['a dangerous key', { ['a.__proto__.b']: loss }, /__proto__/],
    ['a part and a piece of it', { 'train.loss': loss, 'train.loss.margin': rate }, /replaces the whole part/],
    ['ends the wrong way round', num({ low: 2, high: 1 }), /x: Expected low <= high, got 2 and 1/],
    ['ends that meet', num({ low: 1, high: 1 }), /nothing is varied/],
    ['an end that is no number', num({ high: Infinity }), /finite bounds/],
    ['half an integer', int({ high: 2.5 }), /Expected integers as the bounds/],
    ['a logarithm of nothing', num({ low: 0, scale: 'log' }), /Expected low > 0 on a log scale, got 0/],
    ['steps on a logarithm', num({ low: 0.1, scale: 'log', step: 0.1 }), /A step needs a linear scale/],
    ['a step of nothing', num({ step: 0 }), /Expected step > 0/],
    ['a step beyond the range', num({ step: 2 }), /only 0 would be left/],
    ['half a step of an integer', int({ step: 1.5 }), /integer step/],
    ['a choice of nothing', { x: { kind: 'choice', values: [] } }, /at least one value/],
    [
      'a choice twice, keys in another order',
      {
        x: {
          kind: 'choice',
          values: [
            { kind: 'a', m: 1 },
            { m: 1, kind: 'a' },
          ],
        },
      },
      /twice/,
    ],
    ['a condition on itself', { x: { ...rate, when: { x: [1] } } }, /on itself/],
    ['a condition on what is not there', { x: { ...rate, when: { y: [1] } } }, /on a dimension of the space, got y/],
    ['a condition on no value', { loss, x: { ...rate, when: { loss: [] } } }, /never holds/],
    ['a condition on a value that never comes', { loss, x: { ...rate, when: { loss: ['d'] } } }, /never takes/],
    ['a condition on one number of a continuum', { y: rate, x: { ...rate, when: { y: [0.5] } } }, /never takes/],
    [
      'a condition between steps',
      { ...int({ step: 5 }), y: { ...rate, when: { x: [5, 6] } } },
      /asks for x = 6, which x never takes/,
    ],
    [
      'conditions in a circle',
      {
        x: { ...loss, when: { y: ['a'] } },
        y: { ...loss, when: { x: ['a'] } },
        z: rate,
      },
      /those of x, y wait for each other/,
    ],
    [
      'conditions that ask one dimension for two things',
      {
        loss,
        y: { kind: 'choice', values: [1, 2], when: { loss: ['a'] } },
        z: { ...rate, when: { y: [1], loss: ['b', 'c'] } },
      },
      /z: its conditions contradict each other: no value of loss/,
    ],
  ])('refuses %s', (_, space, reason) => {
    expect(spaceProblems(space).join('\n')).toMatch(reason);
  });

  it('names every problem at once', () => {
    const space: SearchSpace = {
      ...num({ low: 2, high: 1 }),
      y: { ...rate, low: -1 },
      z: { ...loss, when: { q: [1] } },
    };
    expect(spaceProblems(space).map((problem) => problem[0])).toEqual(['x', 'y', 'z']);
  });

  it('refuses a grid that nobody could wait for, without walking through all of it', () => {
    const wide: SearchSpace = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`x${i}`, rate]));
    expect(spaceProblems(wide, { kind: 'grid', points: 10 })).toEqual([
      expect.stringContaining(`at most ${MAX_COMBINATIONS} combinations`),
    ]);
    expect(spaceProblems(wide, { kind: 'random' })).toEqual([]);
  });
});
