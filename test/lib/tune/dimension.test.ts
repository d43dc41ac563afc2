import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dimension, SearchSpace } from '../../../contracts/tuning.ts';
import { combinations } from '../../../lib/tune/combinations.ts';
import { dimensionOrder, drawValue, everyValue, gridValues, numValues } from '../../../lib/tune/dimension.ts';
import { drawParams } from '../../../lib/tune/draw.ts';
import { perturbParams } from '../../../lib/tune/perturb.ts';
import { randomOf } from '../../../lib/train/random.ts';

const uniforms = (count: number): number[] => Array.from({ length: count }, (_, i) => (i + 0.5) / count);
const shareOf = (values: readonly unknown[], of: (value: number) => boolean): number =>
  values.filter((value) => of(Number(value))).length / values.length;

describe('a dimension', () => {
  it('is drawn evenly between its ends, or evenly in the logarithm', () => {
    const linear = uniforms(1000).map((u) => drawValue({ kind: 'float', low: -1, high: 3, scale: 'linear' }, u));
    expect(shareOf(linear, (value) => value < 0)).toBeCloseTo(0.25, 2);
    const log = uniforms(1000).map((u) => drawValue({ kind: 'float', low: 1e-4, high: 1, scale: 'log' }, u));
    expect(shareOf(log, (value) => value < 1e-3)).toBeCloseTo(0.25, 2);
    expect(shareOf(log, (value) => value > 0.1)).toBeCloseTo(0.25, 2);
  });

  it('gives every integer and every step the same share, ends included', () => {
    const ints = uniforms(1000).map((u) => drawValue({ kind: 'int', low: 2, high: 5, scale: 'linear' }, u));
    for (const value of [2, 3, 4, 5]) expect(shareOf(ints, (one) => one === value)).toBeCloseTo(0.25, 2);
    const steps: Dimension = { kind: 'float', low: 0.1, high: 0.5, scale: 'linear', step: 0.1 };
    expect([...everyValue(steps)]).toEqual([0.1, 0.2, 0.3, 0.4, 0.5]);
    const drawn = uniforms(1000).map((u) => drawValue(steps, u));
    for (const value of everyValue(steps)) expect(shareOf(drawn, (one) => one === value)).toBeCloseTo(0.2, 2);
  });

  it('stays within its range and on its steps, whatever it is', () => {
    const anyDimension = fc.record({
      kind: fc.constantFrom('float' as const, 'int' as const),
      low: fc.integer({ min: 1, max: 50 }),
      span: fc.integer({ min: 1, max: 500 }),
      scale: fc.constantFrom('linear' as const, 'log' as const),
      step: fc.option(fc.integer({ min: 1, max: 7 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(anyDimension, fc.double({ min: 0, max: 0.999999999, noNaN: true }), (shape, uniform) => {
        const { kind, low, span, scale } = shape;
        const step = scale === 'linear' && shape.step !== undefined && shape.step <= span ? shape.step : undefined;
        const dimension: Dimension = { kind, low, high: low + span, scale, ...(step !== undefined && { step }) };
        const value = Number(drawValue(dimension, uniform));
        expect(value).toBeGreaterThanOrEqual(low);
        expect(value).toBeLessThanOrEqual(low + span);
        if (kind === 'int') expect(Number.isInteger(value)).toBe(true);
        if (step !== undefined) expect(((value - low) / step) % 1).toBeCloseTo(0, 9);
        if (numValues(dimension) < 200) expect([...everyValue(dimension)]).toContain(value);
      }),
    );
  });

  it('is cut by a grid into points evenly spread on its scale, ends included', () => {
    expect([...gridValues({ kind: 'float', low: 1e-4, high: 1, scale: 'log' }, 5)]).toEqual([1e-4, 1e-3, 0.01, 0.1, 1]);
    expect([...gridValues({ kind: 'float', low: 0, high: 1, scale: 'linear' }, 3)]).toEqual([0, 0.5, 1]);
    expect([...gridValues({ kind: 'float', low: 1e-4, high: 1, scale: 'log' }, 1)]).toEqual([0.01]);
    expect([...gridValues({ kind: 'int', low: 1, high: 3, scale: 'linear' }, 9)]).toEqual([1, 2, 3]);
    expect([...gridValues({ kind: 'choice', values: ['a', 'b'] }, 1)]).toEqual(['a', 'b']);
  });
});

const conditional: SearchSpace = {
  margin: { kind: 'float', low: 0, high: 1, scale: 'linear', when: { loss: ['triplet'] } },
  hard: { kind: 'choice', values: [true, false], when: { margin: [0.5], loss: ['triplet'] } },
  loss: { kind: 'choice', values: ['triplet', 'softmax'] },
};
const stepped: SearchSpace = {
  ...conditional,
  margin: { kind: 'float', low: 0, high: 1, scale: 'linear', step: 0.5, when: { loss: ['triplet'] } },
};

describe('a space with conditions', () => {
  it('draws a dimension after those that its condition names, and only where it holds', () => {
    expect(dimensionOrder(conditional)).toEqual(['loss', 'margin', 'hard']);
    const drawn = Array.from({ length: 200 }, (_, i) => drawParams(stepped, (path) => randomOf(i, path)()));
    for (const params of drawn) {
      expect('margin' in params).toBe(params['loss'] === 'triplet');
      expect('hard' in params).toBe(params['margin'] === 0.5);
    }
    expect(drawn.filter((params) => 'hard' in params).length).toBeGreaterThan(10);
  });

  it('has each combination once: what does not hold does not multiply', () => {
    expect([...combinations(stepped, everyValue)]).toEqual([
      { loss: 'triplet', margin: 0 },
      { loss: 'triplet', margin: 0.5, hard: true },
      { loss: 'triplet', margin: 0.5, hard: false },
      { loss: 'triplet', margin: 1 },
      { loss: 'softmax' },
    ]);
  });

  it('is strayed from within its ranges; what no longer holds is dropped, what now does is drawn', () => {
    const moved = Array.from({ length: 300 }, (_, i) =>
      perturbParams(stepped, { loss: 'triplet', margin: 0.5, hard: true }, randomOf(i)),
    );
    for (const params of moved) {
      expect('margin' in params).toBe(params['loss'] === 'triplet');
      expect('hard' in params).toBe(params['margin'] === 0.5);
      if ('margin' in params) expect([0, 0.5, 1]).toContain(params['margin']);
    }
    expect(new Set(moved.map(({ loss }) => loss)).size).toBe(2);
    const back = Array.from({ length: 100 }, (_, i) => perturbParams(stepped, { loss: 'softmax' }, randomOf(i)));
    expect(back.some((params) => 'margin' in params)).toBe(true);
  });

  it('is strayed from by a fifth, or drawn anew at a quarter of the times', () => {
    const space: SearchSpace = { rate: { kind: 'float', low: 1e-6, high: 1, scale: 'log' } };
    const rates = Array.from({ length: 400 }, (_, i) =>
      Number(perturbParams(space, { rate: 0.01 }, randomOf(i))['rate']),
    );
    const isNear = (rate: number): boolean => Math.abs(rate - 0.008) < 1e-9 || Math.abs(rate - 0.012) < 1e-9;
    expect(shareOf(rates, isNear)).toBeGreaterThan(0.68);
    expect(shareOf(rates, isNear)).toBeLessThan(0.82);
  });
});
