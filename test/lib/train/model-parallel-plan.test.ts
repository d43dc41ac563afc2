import { describe, expect, it } from 'vitest';
import type { ModelParallelConfig, TrainConfig } from '../../../contracts/training.ts';
import { initialValues, parameterShapes } from '../../../lib/train/head-model.ts';
import { linksOf, modelParallelPlanOf } from '../../../lib/train/model-parallel-plan.ts';
import { eachPiece, partStateOf } from '../../../lib/train/part-state.ts';
import { TWO_STAGES, cutUp, readerOf } from './local-parts.ts';

const SHAPE = { featureDim: 16, hidden: [12, 10], dim: 8, numLabels: 7 };
const NUM_ROWS = 12;
const planOf = (parts: Partial<ModelParallelConfig>, train: Partial<TrainConfig> = {}) =>
  modelParallelPlanOf(cutUp(parts, { hidden: SHAPE.hidden, ...train }), SHAPE, NUM_ROWS);
const holdings = (parts: Partial<ModelParallelConfig>): string[] => planOf(parts).parts.map(({ about }) => about);

describe('how a head is cut', () => {
  it('is by hand at the layers that are named, by cost elsewhere', () => {
    expect(holdings({ stages: 3, cut: [2, 6] })).toEqual([
      'hidden1, relu1',
      'hidden2, relu2, projection, embedding',
      'loss',
    ]);
    expect(holdings({ stages: 7 })).toEqual([
      'hidden1',
      'relu1',
      'hidden2',
      'relu2',
      'projection',
      'embedding',
      'loss',
    ]);
    expect(holdings({ stages: 1 })).toHaveLength(1);
  });

  it('gives a divided classifier the last stage, and its further parts processes of their own', () => {
    expect(holdings({ stages: 2, classifierParts: 3 })).toEqual([
      'hidden1, relu1, hidden2, relu2, projection, embedding',
      'labels 0 to 2',
      'labels 3 to 4',
      'labels 5 to 6',
    ]);
  });

  it.each<Partial<ModelParallelConfig>>([{}, { stages: 4 }, { stages: 3, classifierParts: 3 }, { classifierParts: 7 }])(
    'leaves every value to one part, which starts from what one process starts from: %j',
    async (parts) => {
      const config = cutUp(parts, { hidden: SHAPE.hidden });
      const expected = initialValues(config, SHAPE);
      const moments = Object.fromEntries(Object.entries(expected).map(([name, all]) => [name, all.map((v) => 2 * v)]));
      const saved = readerOf({
        ...{ step: 9, recallByEpoch: [], best: null },
        ...{ values: expected, firstMoments: moments, secondMoments: expected },
      });
      const found = Object.fromEntries(
        parameterShapes(config.loss, SHAPE).map(({ name }) => [name, expected[name]!.map(() => NaN)]),
      );
      for (const { segments } of planOf(parts).parts) {
        const fresh = await partStateOf(segments, { config, shape: SHAPE }, null);
        const resumed = await partStateOf(segments, { config, shape: SHAPE }, saved);
        expect(resumed).toEqual({
          ...fresh,
          step: 9,
          firstMoments: fresh.values.map((v) => 2 * v),
          secondMoments: fresh.values,
        });
        await eachPiece(segments, 0, fresh.values, (name, start, values) => {
          expect([...found[name]!.subarray(start, start + values.length)].every(Number.isNaN)).toBe(true);
          found[name]!.set(values, start);
        });
      }
      expect(found).toEqual(expected);
    },
  );

  it('links the lead to all, the stages in a row, and the last of them to the rest of the classifier', () => {
    const links = linksOf(planOf({ stages: 3, classifierParts: 3 })).map(({ name, host, client }) => [
      name,
      host,
      client,
    ]);
    expect(links).toEqual([
      ['lead-1', 0, 1],
      ['lead-2', 0, 2],
      ['lead-3', 0, 3],
      ['lead-4', 0, 4],
      ['stage-1', 0, 1],
      ['stage-2', 1, 2],
      ['block-3', 2, 3],
      ['block-4', 2, 4],
    ]);
  });

  it.each<[Partial<ModelParallelConfig>, Partial<TrainConfig>, RegExp]>([
    [{ stages: 8 }, {}, /1 to 7 stages .* got 8/],
    [{ classifierParts: 8 }, {}, /1 to 7 machines .* Lower train.modelParallel.classifierParts/],
    [{ classifierParts: 2 }, { loss: { kind: 'supCon', temperature: 0.1 } }, /Expected the loss proxySoftmax/],
    [{ classifierParts: 2, cut: [4] }, {}, /Expected the last stage to begin at the loss \(layer 6\)/],
    [{ stages: 3, cut: [5, 2] }, {}, /in the order of relu1, hidden2/],
    [{ stages: 3, cut: [5] }, {}, /Expected 2 layer\(s\)/],
    [{ maxBytesPerStage: 5_000 }, {}, /to fit into 0.0 MB; stage \d .* Use more stages/],
  ])('is refused with the reason: %j', (parts, train, reason) => {
    expect(() => planOf(parts, train)).toThrow(reason);
  });

  it('cuts so that every part fits, where some cut does', () => {
    const wide = { ...SHAPE, hidden: [2048, 2048, 2048], featureDim: 2048 };
    const cut = (stages: number, megabytes: number) =>
      modelParallelPlanOf(
        cutUp({ stages, maxBytesPerStage: megabytes * 1e6 }, { hidden: wide.hidden }),
        wide,
        NUM_ROWS,
      ).parts.map(({ segments }) => segments.reduce((sum, { start, end }) => sum + 4 * (end - start), 0) / 1e6);
    expect(() => cut(2, 150)).toThrow(/to fit into 150.0 MB/);
    const held = cut(3, 150);
    expect(Math.max(...held)).toBeLessThan(25);
    expect(held.reduce((a, b) => a + b)).toBeGreaterThan(50);
  });

  it('takes no more micro-batches than there are rows', () => {
    const { pipeline } = modelParallelPlanOf(cutUp({ ...TWO_STAGES, microBatches: 100 }), SHAPE, NUM_ROWS);
    expect(pipeline.numMicroBatches).toBe(NUM_ROWS);
  });
});
