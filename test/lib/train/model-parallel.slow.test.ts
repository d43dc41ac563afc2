import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LossConfig, ModelParallelConfig, TrainConfig } from '../../../contracts/training.ts';
import type { TrainedHead } from '../../../lib/train/head-program.ts';
import { trainHead } from '../../../lib/train/train-head.ts';
import type { StepReport } from '../../../lib/train/train-head.ts';
import type { TrainState } from '../../../lib/train/train-state.ts';
import { cutUp, data, trainParts } from './local-parts.ts';

/** Of all layers after the last step, relative to their length: sums in float32 are taken in another order. */
const TOLERANCE = 1e-5;
const HIDDEN = [12, 10];
const PAIRS: LossConfig[] = [
  { kind: 'proxyAnchor', scale: 16, margin: 0.1 },
  { kind: 'batchHardTriplet', margin: 0.3 },
  { kind: 'visnetTriplet', margin: 0.3, inClassShare: 0.3 },
  { kind: 'supCon', temperature: 0.2 },
  { kind: 'multiSimilarity', positiveScale: 2, negativeScale: 10, threshold: 0.5, margin: 0.1 },
];

const valuesOf = ({ kernel, bias, hidden }: TrainedHead): number[] =>
  [...hidden, { kernel, bias }].flatMap((layer) => [...layer.kernel, ...layer.bias]);

function distance(a: TrainedHead, b: TrainedHead): number {
  const [left, right] = [valuesOf(a), valuesOf(b)];
  expect(left).toHaveLength(right.length);
  return Math.hypot(...left.map((value, i) => value - right[i]!)) / Math.hypot(...right);
}

interface Told {
  head: TrainedHead;
  losses: number[];
}

async function single({ modelParallel: _, ...config }: TrainConfig): Promise<Told> {
  const losses: number[] = [];
  const onStep = ({ loss }: StepReport): void => void losses.push(loss);
  return { head: await trainHead(tf, data, { ...config, strategy: 'single' }, undefined, { onStep }), losses };
}

async function cut(config: TrainConfig): Promise<Told> {
  const losses: number[] = [];
  const head = await trainParts(config, { onStep: (index, { loss }) => index === 0 && losses.push(loss!) });
  return { head, losses };
}

function expectSame(made: Told, expected: Told): void {
  expect(distance(made.head, expected.head)).toBeLessThan(TOLERANCE);
  expect(made.losses).toHaveLength(expected.losses.length);
  made.losses.forEach((loss, step) => expect(Math.abs(loss - expected.losses[step]!)).toBeLessThan(TOLERANCE * 10));
  const { recallByEpoch, bestEpoch, recall, numSteps } = expected.head;
  expect(made.head).toMatchObject({ recallByEpoch, bestEpoch, recall, numSteps });
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('a model over several processes', () => {
  it.each<[Partial<ModelParallelConfig>, Partial<TrainConfig>]>([
    [{ stages: 1 }, {}],
    [{}, {}],
    [{ schedule: 'gpipe' }, {}],
    [{ stages: 3 }, {}],
    [{ stages: 2, cut: [1], microBatches: 1 }, {}],
    [{ stages: 2, cut: [2], microBatches: 12 }, {}],
    [{ stages: 4, microBatches: 5 }, { hidden: HIDDEN }],
    [{ stages: 3, cut: [2, 5], schedule: 'gpipe' }, { hidden: HIDDEN }],
    [{ stages: 7 }, { hidden: HIDDEN }],
    [{ classifierParts: 3 }, {}],
    [{ classifierParts: 3, schedule: 'gpipe' }, { hidden: HIDDEN }],
    [{ stages: 4, classifierParts: 2, microBatches: 3 }, { hidden: HIDDEN }],
    [{ stages: 3, cut: [1, 2], classifierParts: 6 }, {}],
    [{ classifierParts: 3 }, { optimizer: { kind: 'sgd', learningRate: 0.1, weightDecay: 0.01, momentum: 0.9 } }],
    [{ stages: 3 }, { loss: { kind: 'arcFace', scale: 16, margin: 0.2 }, hidden: HIDDEN }],
  ])('learns what one process learns: %j %j', async (shape, train) => {
    const config = cutUp(shape, train);
    const expected = await single(config);
    expect(distance(expected.head, (await single({ ...config, epochs: 1 })).head)).toBeGreaterThan(0.1);
    expectSame(await cut(config), expected);
  });

  it.each(PAIRS)('learns what one process learns by a loss over whole batches: $kind', async (loss) => {
    const config = cutUp({ stages: 3, schedule: 'gpipe', microBatches: 5 }, { loss, hidden: [12] });
    expectSame(await cut(config), await single(config));
  });

  it('stops when one process would, and keeps the same epoch', async () => {
    const config = cutUp({ classifierParts: 2 }, { patience: 2, epochs: 40 });
    const expected = await single(config);
    expect(expected.losses.length).toBeLessThan(expected.head.numSteps);
    expectSame(await cut(config), expected);
  });

  it('gives the same bytes whichever way it is scheduled and cut', async () => {
    const first = await cut(cutUp({ stages: 2 }, { hidden: HIDDEN }));
    for (const shape of [{ stages: 4 }, { stages: 3, schedule: 'gpipe' as const }]) {
      expect(await cut(cutUp(shape, { hidden: HIDDEN }))).toEqual(first);
    }
  });

  it('resumed from any checkpoint ends in the bytes of the uninterrupted run', async () => {
    const config = cutUp({ stages: 3, classifierParts: 2 }, { hidden: HIDDEN, patience: 3, checkpointEverySteps: 2 });
    const states: TrainState[] = [];
    const expected = await trainParts(config, { onCheckpoint: (state) => states.push(state) });
    expect(states.map(({ step }) => step)).toEqual(states.map((_, i) => 2 * (i + 1)));
    expect(states.length).toBeGreaterThan(2);
    for (const from of states) expect(await trainParts(config, { from })).toEqual(expected);
  });

  it('keeps checkpoints that one process goes on from, and goes on from those of one process', async () => {
    const config = cutUp({ classifierParts: 3 }, { hidden: HIDDEN });
    const { modelParallel: _, ...own } = config;
    const expected = await single(config);
    const ofParts: TrainState[] = [];
    await trainParts(config, { onCheckpoint: (state) => ofParts.push(state) });
    const ofOne: TrainState[] = [];
    const onCheckpoint = (state: TrainState): Promise<void> => {
      ofOne.push(structuredClone(state));
      return Promise.resolve();
    };
    await trainHead(tf, data, { ...own, strategy: 'single' }, undefined, { onCheckpoint });
    expect(ofParts.map(({ step }) => step)).toEqual(ofOne.map(({ step }) => step));
    const byOne = await trainHead(tf, data, { ...own, strategy: 'single' }, ofParts[1]);
    expect(distance(byOne, expected.head)).toBeLessThan(TOLERANCE);
    expect(distance(await trainParts(config, { from: ofOne[1]! }), expected.head)).toBeLessThan(TOLERANCE);
  });

  it('stops before an update that would spoil it', async () => {
    const config = cutUp({}, { optimizer: { kind: 'sgd', learningRate: 1e39, weightDecay: 0, momentum: 0.9 } });
    await expect(trainParts(config)).rejects.toMatchObject({ code: 'nonFinite' });
  });

  it('leaves no tensor behind', async () => {
    const before = tf.memory().numTensors;
    await trainParts(cutUp({ stages: 3, classifierParts: 2 }, { hidden: HIDDEN }));
    expect(tf.memory().numTensors).toBe(before);
  });
});
