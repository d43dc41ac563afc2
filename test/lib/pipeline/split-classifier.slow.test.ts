import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { blocksOf } from '../../../lib/pipeline/classifier-block.ts';
import type { Classifier } from '../../../lib/pipeline/classifier-block.ts';
import { wholeGradient } from '../../../lib/pipeline/model.ts';
import type { ModelPart } from '../../../lib/pipeline/model.ts';
import { freshState, untouched } from '../../../lib/pipeline/part-state.ts';
import { ClassifierMember, ClassifierRoot } from '../../../lib/pipeline/split-classifier.ts';
import { PipelineStage } from '../../../lib/pipeline/stage.ts';
import { splitClassifierTraffic } from '../../../lib/pipeline/traffic.ts';
import { createOptimizer } from '../../../lib/sync/optimizer.ts';
import type { OptimizerConfig } from '../../../lib/sync/protocol.ts';
import { headChain } from '../../../lib/train/head-layers.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { linkPair } from './memory-link.ts';

const SEED = 4;
const [NUM_STEPS, NUM_ROWS, INPUT_DIM, DIM, NUM_LABELS] = [20, 9, 7, 6, 11];
const NUM_MICRO_BATCHES = 2;
const RATE = 0.05;
/** Of all parameters after twenty updates: sums in float32 are taken in another order. */
const TOLERANCE = 1e-6;
const optimizer: OptimizerConfig = { kind: 'adam', momentum: 0.9, weightDecay: 0.01 };

const loss = { kind: 'proxySoftmax', scale: 8, margin: 0.1 } as const;
const classifier: Classifier = { dim: DIM, numLabels: NUM_LABELS, scale: loss.scale, margin: loss.margin };
const model = headChain({ loss, seed: SEED }, { featureDim: INPUT_DIM, dim: DIM, numLabels: NUM_LABELS }, NUM_ROWS);
/** Where the proxies lie: after the projection's kernel and bias. */
const PROXIES_AT = INPUT_DIM * DIM + DIM;

function batchOf(step: number): { inputs: Float32Array; labels: Int32Array } {
  const random = randomOf('batch', step);
  return {
    inputs: normals(NUM_ROWS * INPUT_DIM, random),
    labels: Int32Array.from({ length: NUM_ROWS }, () => Math.floor(random() * NUM_LABELS)),
  };
}

function trainWhole(): { values: Float32Array; losses: number[] } {
  const state = freshState(model, optimizer.kind, SEED);
  const kernels = [{ start: 0, end: INPUT_DIM * DIM }];
  const update = createOptimizer(optimizer, kernels, state.values.length);
  const losses = Array.from({ length: NUM_STEPS }, (_, step) => {
    const { loss, gradient } = wholeGradient(tf, model, state.values, batchOf(step));
    update(state, gradient, { learningRate: RATE, numUpdates: step });
    return loss;
  });
  return { values: state.values, losses };
}

async function trainSplit(numMachines: number) {
  const initial = freshState(model, optimizer.kind, SEED).values;
  const part: ModelPart = { layers: model.layers.slice(0, 2), loss: null };
  const toRoot = linkPair();
  const toMembers = Array.from({ length: numMachines - 1 }, linkPair);
  const stage = new PipelineStage({
    tf,
    part,
    inputShape: [INPUT_DIM],
    stage: 0,
    pipeline: { schedule: 'gpipe', numStages: 2, numMicroBatches: NUM_MICRO_BATCHES },
    optimizer,
    from: freshState(part, optimizer.kind, SEED),
    previous: null,
    next: toRoot.ends[0],
  });
  const options = blocksOf(classifier, numMachines).map((block) => {
    const [start, end] = [PROXIES_AT + block.start * DIM, PROXIES_AT + block.end * DIM];
    const from = untouched(initial.slice(start, end), optimizer.kind);
    return { tf, block, numMicroBatches: NUM_MICRO_BATCHES, optimizer, from };
  });
  const members = toMembers.map(({ ends }, i) => new ClassifierMember(options[i + 1]!, ends[1]));
  const root = new ClassifierRoot(
    options[0]!,
    toRoot.ends[1],
    toMembers.map(({ ends }) => ends[0]),
  );
  const losses: number[] = [];
  const tensorsByStep: number[] = [];
  for (let step = 0; step < NUM_STEPS; step++) {
    const { inputs, labels } = batchOf(step);
    const [loss] = await Promise.all([
      root.runStep({ labels, learningRate: RATE }),
      stage.runStep({ numRows: NUM_ROWS, inputs, learningRate: RATE }),
      ...members.map((member) => member.runStep({ labels, learningRate: RATE })),
    ]);
    losses.push(loss);
    tensorsByStep.push(tf.memory().numTensors);
  }
  const values = [stage, root, ...members].flatMap((each) => [...each.read().values]);
  for (const each of [stage, root, ...members]) each.dispose();
  return { values, losses, sent: toMembers.flatMap(({ sent }) => sent), tensorsByStep };
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.hypot(...Array.from(a, (value, i) => value - b[i]!)) / Math.hypot(...Array.from(b));
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('proxies with a margin split over machines', () => {
  it('learns what the unsplit layer learns', async () => {
    const expected = trainWhole();
    for (const numMachines of [1, 3, NUM_LABELS]) {
      const { values, losses } = await trainSplit(numMachines);
      expect(distance(values, expected.values)).toBeLessThan(TOLERANCE);
      expect(distance(losses, expected.losses)).toBeLessThan(TOLERANCE);
    }
  });

  it('sends what is foretold, which does not grow with the labels, and keeps the number of tensors', async () => {
    const before = tf.memory().numTensors;
    const { sent, tensorsByStep } = await trainSplit(3);
    const bytes = sent.reduce((sum, { values }) => sum + values.byteLength, 0);
    const batch = { numRows: NUM_ROWS, numMicroBatches: NUM_MICRO_BATCHES };
    const foretold = splitClassifierTraffic({ dim: DIM, numMachines: 3 }, batch);
    expect({ bytes, messages: sent.length }).toEqual({
      bytes: NUM_STEPS * foretold.bytes,
      messages: NUM_STEPS * foretold.messages,
    });
    expect(new Set(tensorsByStep).size).toBe(1);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('blocksOf', () => {
  it('refuses more machines than labels', () => {
    expect(() => blocksOf({ ...classifier, numLabels: 3 }, 4)).toThrow(/1 to 3 machines .* got 4/);
  });
});
