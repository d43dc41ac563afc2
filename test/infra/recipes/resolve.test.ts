import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECIPES } from '../../../infra/recipes/recipes.ts';
import { listRecipes, resolveRetrainConfig } from '../../../infra/recipes/resolve.ts';
import type { RecipeChoice } from '../../../infra/recipes/resolve.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';

const set = (...settings: string[]) => resolveRetrainConfig({ set: settings });

/** The message of the refusal, which is always the caller's fault. */
function refusal(choice: RecipeChoice): string {
  try {
    resolveRetrainConfig(choice);
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalidInput' });
    return (error as Error).message;
  }
  return expect.unreachable('the configuration was taken');
}

describe('recipes', () => {
  it.each(Object.keys(RECIPES))('%s is complete and valid, and carries its own name', (recipe) => {
    expect(resolveRetrainConfig({ recipe })).toEqual(RECIPES[recipe]!.config);
    expect(RECIPES[recipe]!.config.recipe).toBe(recipe);
  });

  it('are listed with what they are for, and resolving one changes none', () => {
    const before = JSON.stringify(listRecipes());
    set('train.epochs=3', 'train.loss.kind=supCon').train.optimizer.momentum = 0;
    expect(JSON.stringify(listRecipes())).toBe(before);
  });

  it('of unknown name are refused with the nearest one', () => {
    expect(refusal({ recipe: 'defualt' })).toContain('Did you mean "default"?');
    expect(refusal({ recipe: 'constructor' })).toContain('Expected a recipe of default, demo');
  });
});

describe('overrides', () => {
  it('take as many shards and replicas as their table holds, and not one more', () => {
    expect(set('numShards=64', 'numReplicas=4')).toMatchObject({ numShards: 64, numReplicas: 4 });
    expect(set('numShards=256', 'numReplicas=1').numShards).toBe(256);
    for (const settings of [
      ['numShards=257', 'numReplicas=1'],
      ['numShards=65', 'numReplicas=4'],
    ]) {
      expect(refusal({ set: settings })).toContain('numShards x numReplicas must not exceed 256');
    }
  });

  it('are laid over the recipe from a YAML file, a JSON file or an object, single settings last', () => {
    const folder = temporaryFolder();
    const [yaml, json] = [join(folder, 'a.yaml'), join(folder, 'a.json')];
    writeFileSync(yaml, 'views: 3\ntrain:\n  epochs: 7\n  loss: {margin: 0.1}\n');
    writeFileSync(json, '{"views":3,"train":{"epochs":7,"loss":{"margin":0.1}}}');
    const object = { views: 3, train: { epochs: 7, loss: { margin: 0.1 } } };
    for (const file of [yaml, json, object]) {
      const config = resolveRetrainConfig({ recipe: 'fast', file, set: ['train.epochs=9'] });
      const { train, ...rest } = RECIPES['fast']!.config;
      const loss = { kind: 'proxySoftmax', scale: 16, margin: 0.1 };
      expect(config).toEqual({ ...rest, views: 3, train: { ...train, epochs: 9, loss } });
    }
  });

  it('that cannot be read as an object are refused', () => {
    const path = join(temporaryFolder(), 'a.yaml');
    expect(refusal({ file: path })).toContain(`Expected a YAML or JSON configuration at ${path}`);
    writeFileSync(path, 'train: [');
    expect(refusal({ file: path })).toContain(`Expected a YAML or JSON configuration at ${path}`);
    writeFileSync(path, '- 1');
    expect(refusal({ file: path })).toContain('to hold an object');
    for (const setting of ['epochs', '=3', 'train..epochs=3', '__proto__.x=1']) {
      expect(refusal({ set: [setting] })).toContain('Expected a setting as key.path=value');
    }
  });
});

describe('a change of kind', () => {
  it.each([
    ['train.loss.kind=supCon', { kind: 'supCon', temperature: 0.1 }],
    ['train.loss.kind=batchHardTriplet', { kind: 'batchHardTriplet', margin: 0.3 }],
    ['train.loss.kind=arcFace', { kind: 'arcFace', scale: 16, margin: 0.3 }],
    ['train.loss.kind=proxyAnchor', { kind: 'proxyAnchor', scale: 32, margin: 0.1 }],
    [
      'train.loss.kind=multiSimilarity',
      { kind: 'multiSimilarity', positiveScale: 2, negativeScale: 50, threshold: 0.5, margin: 0.1 },
    ],
    ['train.loss.kind=visnetTriplet', { kind: 'visnetTriplet', margin: 0.3, inClassShare: 0.3 }],
  ])('by %s alone takes that kind’s defaults', (setting, loss) => {
    expect(set(setting).train.loss).toEqual(loss);
  });

  it('to auto asks for a recall and a memory budget', () => {
    const auto = { kind: 'auto', metric: 'cosine', recall: 0.95, maxBytes: 0, seed: 1 };
    expect(set('index.kind=auto').index).toEqual(auto);
    const asked = set('index.kind=auto', 'index.recall=0.99', 'index.maxBytes=1000000').index;
    expect(asked).toEqual({ ...auto, recall: 0.99, maxBytes: 1_000_000 });
    expect(() => set('index.kind=auto', 'index.recall=1.5')).toThrow(/index\.recall/);
    expect(() => set('index.kind=auto', 'index.m=16')).toThrow(/index\.m/);
  });

  it('gives the recipe’s own kind back unchanged', () => {
    expect(set('train.loss.kind=proxySoftmax', 'train.optimizer.kind=adam', 'index.kind=hnsw')).toEqual(set());
    const { train, index } = resolveRetrainConfig({ recipe: 'demo', set: ['train.loss.kind=proxySoftmax'] });
    expect([train.loss, index]).toEqual([set().train.loss, set().index]);
  });

  it('keeps what is said about the new kind, in whatever order', () => {
    const loss = { kind: 'supCon', temperature: 0.5 };
    expect(set('train.loss.kind=supCon', 'train.loss.temperature=0.5').train.loss).toEqual(loss);
    expect(set('train.loss.temperature=0.5', 'train.loss.kind=supCon').train.loss).toEqual(loss);
    const file = { train: { loss: { kind: 'visnetTriplet', inClassShare: 0.9 } } };
    expect(resolveRetrainConfig({ file, set: ['train.loss.kind=supCon'] }).train.loss).toMatchObject({
      kind: 'supCon',
    });
  });

  it('of the start tells where it starts, and lets it be a head by itself', () => {
    const settings = ['train.start.kind=principalAxes', 'train.epochs=0', 'train.schedule.warmupEpochs=0'];
    expect(set(...settings).train).toMatchObject({ start: { kind: 'principalAxes', power: 0.2 }, epochs: 0 });
    expect(set('train.start.kind=random').train.start).toEqual({ kind: 'random' });
  });

  it('of the index keeps the metric, of the optimiser nothing', () => {
    expect(set('index.metric=l2', 'index.kind=exact').index).toEqual({ kind: 'exact', metric: 'l2' });
    const optimizer = { kind: 'sgd', learningRate: 0.1, weightDecay: 0.05, momentum: 0.9 };
    expect(set('train.optimizer.kind=sgd').train.optimizer).toEqual(optimizer);
  });
});

describe('a training spread over processes', () => {
  const spread = (...settings: string[]) => set('train.strategy=dataParallel', ...settings).train;
  const inStep = {
    replicas: 2,
    exchange: { kind: 'parameterServer', shards: 2 },
    mode: { kind: 'sync', backups: 0 },
    compression: { kind: 'none' },
  };

  it('needs no more than to be chosen, and then differs from the recipe in nothing else', () => {
    const { train } = set();
    expect(spread()).toEqual({ ...train, strategy: 'dataParallel', dataParallel: inStep });
    expect(train).not.toHaveProperty('dataParallel');
    const file = { train: { strategy: 'dataParallel' } };
    expect(resolveRetrainConfig({ recipe: 'demo', file }).train.dataParallel).toEqual(inStep);
  });

  it('takes the defaults of the kinds that are chosen', () => {
    const ring = spread('train.dataParallel.exchange.kind=allReduce', 'train.dataParallel.compression.kind=fp16');
    expect(ring.dataParallel).toMatchObject({ exchange: { kind: 'allReduce', bucketBytes: 1_048_576 } });
    expect(spread('train.dataParallel.mode.kind=ssp').dataParallel!.mode).toEqual({ kind: 'ssp', staleness: 2 });
    const { dataParallel } = spread(
      'train.dataParallel.replicas=8',
      'train.dataParallel.exchange.shards=3',
      'train.dataParallel.mode.kind=async',
      'train.dataParallel.mode.fetchEvery=5',
      'train.dataParallel.compression.kind=topK',
    );
    expect(dataParallel).toEqual({
      replicas: 8,
      exchange: { kind: 'parameterServer', shards: 3 },
      mode: { kind: 'async', pushEvery: 1, fetchEvery: 5 },
      compression: { kind: 'topK', share: 0.01 },
    });
  });

  it.each([
    [['replicas=3'], 'train.dataParallel.replicas: must divide train.labelsPerBatch (64) without rest'],
    [['replicas=0'], 'train.dataParallel.replicas: expected number to be >=1, got 0'],
    [['mode.backups=2'], 'train.dataParallel.mode.backups: must stay below the replicas (2)'],
    [['exchange.kind=allReduce', 'mode.backups=1'], 'train.dataParallel.mode.backups: must be 0: a ring waits for all'],
    [['exchange.kind=allReduce', 'compression.kind=topK'], 'a ring adds on the way'],
    [['exchange.kind=allReduce', 'compression.kind=oneBit'], 'train.dataParallel.compression.kind'],
    [['exchange.kind=allReduce', 'mode.kind=ssp'], 'a ring of replicas goes in step: mode ssp needs parameterServer'],
    [['mode.kind=bsp'], 'train.dataParallel.mode.kind: expected one of sync, ssp, async, got "bsp".'],
    [['mode.staleness=1'], 'train.dataParallel.mode of kind sync has kind, backups'],
    [['exchange.shard=3'], 'Did you mean "train.dataParallel.exchange.shards"?'],
    [['compression.kind=topK', 'compression.share=0'], 'train.dataParallel.compression.share'],
  ])('is refused with the reason where it contradicts itself (%s)', (settings, reason) => {
    const all = ['train.strategy=dataParallel', ...settings.map((setting) => `train.dataParallel.${setting}`)];
    expect(refusal({ set: all })).toContain(reason);
  });

  it('is refused where a slice would have nothing to compare', () => {
    const settings = ['train.strategy=dataParallel', 'train.dataParallel.replicas=64'];
    expect(set(...settings).train.dataParallel!.replicas).toBe(64);
    for (const loss of ['supCon', 'multiSimilarity']) {
      expect(refusal({ set: [...settings, `train.loss.kind=${loss}`] })).toContain('at most 32 replicas');
    }
    for (const loss of ['arcFace', 'proxyAnchor']) {
      expect(set(...settings, `train.loss.kind=${loss}`, 'train.samplesPerLabel=1').train.loss.kind).toBe(loss);
    }
  });

  it('must be chosen: its settings alone are not ignored in silence', () => {
    const message = refusal({ set: ['train.dataParallel.replicas=4'] });
    expect(message).toContain('train.strategy: train.dataParallel says how strategy dataParallel works; choose it');
  });
});

describe('a model cut over processes', () => {
  const cut = (...settings: string[]) => set('train.strategy=modelParallel', ...settings).train;
  const byDefault = { stages: 2, cut: 'auto', microBatches: 4, schedule: 'gpipe', classifierParts: 1 };

  it('needs no more than to be chosen, whatever the loss, and then differs from the recipe in nothing else', () => {
    expect(cut()).toEqual({ ...set().train, strategy: 'modelParallel', modelParallel: byDefault });
    for (const loss of ['arcFace', 'proxyAnchor', 'batchHardTriplet', 'visnetTriplet', 'supCon', 'multiSimilarity']) {
      expect(cut(`train.loss.kind=${loss}`).modelParallel).toEqual(byDefault);
    }
  });

  it('takes stages, cuts, hidden layers, a divided classifier and a limit', () => {
    const settings = ['stages=4', 'cut=[2,5,6]', 'schedule=1f1b', 'classifierParts=3', 'maxBytesPerStage=64000000'];
    const train = cut('train.hidden=[512,256]', ...settings.map((setting) => `train.modelParallel.${setting}`));
    expect(train.hidden).toEqual([512, 256]);
    expect(train.modelParallel).toEqual({
      ...{ stages: 4, cut: [2, 5, 6], microBatches: 4, schedule: '1f1b', classifierParts: 3 },
      maxBytesPerStage: 64_000_000,
    });
  });

  it.each([
    [
      ['modelParallel.stages=4'],
      'train.modelParallel.stages: there are 3 layers with the loss: at most as many stages',
    ],
    [['hidden=[8]', 'modelParallel.stages=6'], 'there are 5 layers with the loss'],
    [['modelParallel.stages=0'], 'train.modelParallel.stages: expected number to be >=1, got 0'],
    [
      ['modelParallel.cut=[1,2]'],
      'train.modelParallel.cut: must name the first layer of each of 2 stages but the first',
    ],
    [['modelParallel.cut=[3]'], 'train.modelParallel.cut: must rise, from 1 to at most 2, which is the loss'],
    [['modelParallel.cut=[2,1]', 'modelParallel.stages=3'], 'must rise'],
    [['modelParallel.cut=hidden1'], 'train.modelParallel.cut: expected "auto", or for each stage but the first'],
    [['modelParallel.microBatches=257'], 'train.modelParallel.microBatches: a batch has 256 rows'],
    [['modelParallel.schedule=1f1b', 'loss.kind=supCon'], 'the loss supCon compares all rows of a batch'],
    [['modelParallel.schedule=pipedream'], 'train.modelParallel.schedule: expected one of gpipe, 1f1b'],
    [
      ['modelParallel.classifierParts=2', 'loss.kind=arcFace'],
      'only the labels of the loss proxySoftmax can be divided',
    ],
    [['modelParallel.classifierParts=2', 'modelParallel.stages=1'], 'needs at least 2 stages'],
    [
      ['modelParallel.classifierParts=2', 'modelParallel.cut=[1]'],
      'train.modelParallel.cut: a divided classifier has the',
    ],
    [['modelParallel.stagse=2'], 'Did you mean "train.modelParallel.stages"?'],
    [['dataParallel.replicas=2'], 'train.strategy: train.dataParallel says how strategy dataParallel works'],
    [['start.kind=principalAxes'], 'train.strategy must be single'],
  ])('is refused with the reason where it contradicts itself (%s)', (settings, reason) => {
    const all = settings.map((setting) => `train.${setting}`);
    expect(refusal({ set: ['train.strategy=modelParallel', ...all] })).toContain(reason);
  });

  it('must be chosen: its settings alone are not ignored in silence', () => {
    const message = refusal({ set: ['train.modelParallel.stages=2'] });
    expect(message).toContain('train.strategy: train.modelParallel says how strategy modelParallel works; choose it');
  });
});

describe('a fault', () => {
  it.each([
    ['train.epoch=3', 'train.epoch: unknown key. Did you mean "train.epochs"?'],
    ['trian.epochs=3', 'trian: unknown key. Did you mean "train"?'],
    ['epochs=3', 'epochs: unknown key. Did you mean "train.epochs"?'],
    ['train.loss.scael=3', 'train.loss.scael: unknown key. Did you mean "train.loss.scale"?'],
    ['zzz=1', 'zzz: unknown key. The configuration has recipe, backbone, views, train'],
    ['train.loss.temperature=1', 'unknown key. train.loss of kind proxySoftmax has kind, scale, margin.'],
    ['train.loss.kind=supcon', 'got "supcon". Did you mean "supCon"?'],
    ['train.optimizer.kind=sdg', 'train.optimizer.kind: expected one of adam, sgd, got "sdg".'],
    ['index.metric=cosin', 'index.metric: expected one of cosine, innerProduct, l2, got "cosin".'],
    ['train.epochs=many', 'train.epochs: expected number, got "many"'],
    ['train.epochs=-1', 'train.epochs: expected number to be >=0, got -1'],
    ['train=5', 'train: expected object, got 5'],
  ])('as %s is named with what was probably meant', (setting, message) => {
    expect(refusal({ set: [setting] })).toContain(message);
  });

  it.each([
    [['train.epochs=0'], 'train.epochs: must be at least 1, unless train.start.kind is principalAxes'],
    [['train.supervision=views', 'views=1'], 'learns from what the views of a picture share: at least 2, got 1'],
    [['train.start.kind=principalAxes', 'train.strategy=dataParallel'], 'train.strategy must be single'],
    [['train.start.kind=principalAxes', 'train.hidden=[8]'], 'train.hidden must be empty'],
    [['train.epochs=2', 'train.schedule.warmupEpochs=3'], 'the warm-up must not be longer than the run'],
    [['train.loss.kind=supCon', 'train.samplesPerLabel=1'], 'a loss over pairs needs at least 2 samples per label'],
    [['train.loss.kind=multiSimilarity', 'train.samplesPerLabel=1'], 'a loss over pairs needs at least 2 samples per'],
    [['train.loss.kind=arcFace', 'train.loss.margin=1.6'], 'train.loss.margin'],
    [['train.optimizer.learningRate=2'], 'learningRate x weightDecay must stay below 1'],
    [['train.loss.scale=9', 'train.loss.kind=supCon'], 'train.loss.scale: unknown key.'],
  ])('of parts that contradict each other (%s) is refused with the reason', (settings, reason) => {
    expect(refusal({ set: settings })).toContain(reason);
  });

  it('is one of several, each named', () => {
    const message = refusal({ set: ['train.epochs=0', 'views=0', 'nonsense=1'] });
    for (const name of ['train.epochs', 'views', 'nonsense']) expect(message).toContain(`\n${name}: `);
  });

  it('cannot be a prototype in disguise', () => {
    for (const text of ['{"__proto__":{"views":1}}', '{"train":{"__proto__":{"epochs":3}}}']) {
      expect(refusal({ file: JSON.parse(text) })).toContain('"__proto__"');
    }
    expect(refusal({ set: ['train={"__proto__":{"epochs":3}}'] })).toContain('"__proto__"');
    expect(refusal({ file: { constructor: { prototype: { polluted: 1 } } } })).toContain('constructor: unknown key');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.hasOwn(Object.prototype, 'views')).toBe(false);
  });
});
