import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { resolveRetrainConfig } from '../../../infra/recipes/resolve.ts';
import { readTuneFile, resolveTuneConfig } from '../../../infra/tune/resolve-tune.ts';
import { trialConfig } from '../../../infra/tune/trial-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'lookalike-space-'));
afterAll(() => rmSync(folder, { recursive: true }));

function read(text: string, name = 'space.yaml') {
  const path = join(folder, name);
  writeFileSync(path, text);
  return resolveTuneConfig(resolveRetrainConfig({ set: ['train.epochs=27'] }), readTuneFile(path));
}

const SPACE = `
space:
  train.optimizer.learningRate: { kind: float, low: 1e-4, high: 0.1, scale: log }
  train.dim: { kind: choice, values: [32, 64, 128] }
  train.loss.kind: { kind: choice, values: [proxySoftmax, supCon] }
  train.loss.temperature: { kind: float, low: 0.05, high: 0.5, scale: log, when: { train.loss.kind: [supCon] } }
`;

describe('a file that describes a search', () => {
  it('says the space; all else has defaults that fit the base', () => {
    const config = read(SPACE);
    expect(config).toMatchObject({
      search: { kind: 'tpe', startup: 10 },
      scheduler: { kind: 'asha', minEpochs: 1, eta: 3 },
      ...{ numTrials: 20, concurrency: 4, retries: 2, seed: 1 },
    });
    expect(config.space['train.dim']).toEqual({ kind: 'choice', values: [32, 64, 128] });
    expect(config.space['train.optimizer.learningRate']).toMatchObject({ low: 1e-4, high: 0.1, scale: 'log' });
    expect(config.space['train.loss.temperature']).toMatchObject({ when: { 'train.loss.kind': ['supCon'] } });
  });

  it('may be JSON, and may say a kind alone or with some of its parameters', () => {
    const space = { 'train.featureDropout': { kind: 'float', low: 0, high: 0.5 } };
    const config = read(
      JSON.stringify({ space, search: 'random', scheduler: { kind: 'asha', minEpochs: 3 } }),
      'a.json',
    );
    expect(config.search).toEqual({ kind: 'random' });
    expect(config.scheduler).toEqual({ kind: 'asha', minEpochs: 3, eta: 3 });
    expect(config.space['train.featureDropout']).toMatchObject({ scale: 'linear' });
  });

  it.each<[string, string, RegExp]>([
    ['a word too many', `${SPACE}\nbudget: 3`, /budget/],
    ['no space', 'numTrials: 3', /space/],
    ['an unknown kind of dimension', 'space: { train.dim: { kind: range, low: 1, high: 2 } }', /train\.dim/],
    ['an unknown kind of search', `${SPACE}\nsearch: bayes`, /search/],
    ['a parameter of another kind', `${SPACE}\nscheduler: { kind: hyperband, grace: 3 }`, /grace/],
    ['what is no part of training', 'space: { index.m: { kind: int, low: 4, high: 8 } }', /index\.m: expected a part/],
    [
      'how a training is spread',
      'space: { train.strategy: { kind: choice, values: [single, dataParallel] } }',
      /train\.strategy: cannot be tuned/,
    ],
    ['ends the wrong way round', 'space: { train.dim: { kind: int, low: 64, high: 32 } }', /Expected low <= high/],
    [
      'an end that the configuration refuses',
      'space: { train.dim: { kind: int, low: -4, high: 32 } }',
      /With train\.dim=-4/,
    ],
    [
      'a parameter of a loss that is not always chosen',
      `
space:
  train.loss.kind: { kind: choice, values: [proxySoftmax, supCon] }
  train.loss.temperature: { kind: float, low: 0.05, high: 0.5 }
`,
      /With train\.loss\.kind=proxySoftmax, .* or give the dimension a `when`/,
    ],
    ['a misspelt path', 'space: { train.learningRate: { kind: float, low: 0.1, high: 1 } }', /learningRate/],
    ['no object', '[1, 2]', /to hold an object with `space`/],
    ['no YAML', '{', /Expected YAML or JSON/],
  ])('refuses %s, with the reason', (_, text, reason) => {
    expect(() => read(text)).toThrow(reason);
  });

  it('gives trials that a retrain accepts', () => {
    const { base } = read(SPACE);
    const params = { 'train.loss.kind': 'supCon', 'train.loss.temperature': 0.2, 'train.dim': 32 };
    expect(trialConfig(base, params).train).toMatchObject({ dim: 32, loss: { kind: 'supCon', temperature: 0.2 } });
    expect(() => trialConfig(base, { 'train.dim': -1 })).toThrow(/train\.dim/);
  });
});
