import { describe, expect, it } from 'vitest';
import { KINDS } from '../../../infra/recipes/kind-defaults.ts';
import { resolveRetrainConfig } from '../../../infra/recipes/resolve.ts';
import { applyParams } from '../../../lib/tune/apply-params.ts';

const base = resolveRetrainConfig();

describe('applyParams', () => {
  it('puts values in their places and leaves all else, and both arguments, as they were', () => {
    const before = structuredClone(base);
    const config = applyParams(base, { 'train.optimizer.learningRate': 0.02, views: 2 });
    expect(config).toEqual({
      ...base,
      views: 2,
      train: { ...base.train, optimizer: { ...base.train.optimizer, learningRate: 0.02 } },
    });
    expect(base).toEqual(before);
  });

  it('gives another kind its own defaults, and what else is said about it comes on top, in whatever order', () => {
    for (const params of [
      { 'train.loss.kind': 'supCon', 'train.loss.temperature': 0.2 },
      { 'train.loss.temperature': 0.2, 'train.loss.kind': 'supCon' },
    ]) {
      expect(applyParams(base, params, KINDS).train.loss).toEqual({ kind: 'supCon', temperature: 0.2 });
    }
    expect(applyParams(base, { 'train.loss.kind': 'supCon' }, KINDS).train.loss).toEqual({
      kind: 'supCon',
      temperature: 0.1,
    });
  });

  it('keeps the parameters of a kind that is the one it was', () => {
    const kind = base.train.loss.kind;
    expect(applyParams(base, { 'train.loss.kind': kind }, KINDS)).toEqual(base);
  });

  it.each(['', 'train..dim', '__proto__.x', 'train.dim.deep'])('refuses the path "%s"', (path) => {
    expect(() => applyParams(base, { [path]: 1 })).toThrow(/^Expected/);
  });
});
