import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LossConfig } from '../../../contracts/training.ts';
import { cutByHand } from '../../../lib/pipeline/cut.ts';
import { conv2d, maxPool } from '../../../lib/pipeline/layers/convolution.ts';
import { dense } from '../../../lib/pipeline/layers/dense.ts';
import { softmaxCrossEntropy } from '../../../lib/pipeline/layers/losses.ts';
import { flatten, relu } from '../../../lib/pipeline/layers/row-wise.ts';
import type { TensorFrame } from '../../../lib/pipeline/link.ts';
import { initialValues, sequential, wholeGradient } from '../../../lib/pipeline/model.ts';
import type { Model, ModelPart } from '../../../lib/pipeline/model.ts';
import { freshState } from '../../../lib/pipeline/part-state.ts';
import type { ScheduleKind } from '../../../lib/pipeline/schedule.ts';
import { PipelineStage } from '../../../lib/pipeline/stage.ts';
import { pipelineTraffic } from '../../../lib/pipeline/traffic.ts';
import { createOptimizer } from '../../../lib/sync/optimizer.ts';
import type { OptimizerConfig } from '../../../lib/sync/protocol.ts';
import { headChain } from '../../../lib/train/head-layers.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { linkPair } from './memory-link.ts';

const SEED = 3;
const NUM_STEPS = 20;
const NUM_ROWS = 10;
const NUM_LABELS = 5;
/** Of the parameters after all steps: float32 sums in another order, through twenty updates. */
const TOLERANCE = 1e-6;
const ADAM: OptimizerConfig = { kind: 'adam', momentum: 0.9, weightDecay: 0.01 };
const SGD: OptimizerConfig = { kind: 'sgd', momentum: 0.9, weightDecay: 0.01 };

function smallConvnet(): Model {
  return sequential(
    'small',
    [8, 8, 1],
    [
      conv2d('conv', 3, 3),
      relu('relu1'),
      maxPool('pool', 2),
      flatten('flatten'),
      dense('hidden', 7),
      relu('relu2'),
      dense('logits', NUM_LABELS),
    ],
    softmaxCrossEntropy('loss'),
  );
}

const PROXIES: LossConfig = { kind: 'proxySoftmax', scale: 8, margin: 0.1 };

function smallHead(loss = PROXIES, hidden: number[] = []): Model {
  return headChain({ loss, seed: SEED }, { featureDim: 12, hidden, dim: 6, numLabels: NUM_LABELS }, NUM_ROWS);
}

const rateAt = (step: number): number => 0.02 / (1 + step / 10);

function batchOf(model: Model, step: number): { inputs: Float32Array; labels: Int32Array } {
  const size = model.inputShape.reduce((a, b) => a * b);
  const random = randomOf('batch', step);
  return {
    inputs: normals(NUM_ROWS * size, random),
    labels: Int32Array.from({ length: NUM_ROWS }, () => Math.floor(random() * NUM_LABELS)),
  };
}

function trainWhole(model: Model, optimizer: OptimizerConfig): { values: Float32Array; losses: number[] } {
  const state = freshState(model, optimizer.kind, SEED);
  const kernels = decaying(model);
  const update = createOptimizer(optimizer, kernels, state.values.length);
  const losses = Array.from({ length: NUM_STEPS }, (_, step) => {
    const { loss, gradient } = wholeGradient(tf, model, state.values, { ...batchOf(model, step), step });
    update(state, gradient, { learningRate: rateAt(step), numUpdates: step });
    return loss;
  });
  return { values: state.values, losses };
}

/** Where kernels lie, worked out apart from the layout under test. */
function decaying(model: Model): { start: number; end: number }[] {
  let at = 0;
  return [...model.layers, model.loss].flatMap(({ parameters }) =>
    parameters.flatMap(({ name, shape }) => {
      const start = at;
      at += shape.reduce((a, b) => a * b);
      return name === 'kernel' ? [{ start, end: at }] : [];
    }),
  );
}

interface PipelineRun {
  values: Float32Array;
  losses: number[];
  sent: TensorFrame[];
  tensorsByStep: number[];
}

async function trainPipeline(
  model: Model,
  optimizer: OptimizerConfig,
  shape: { starts: number[]; schedule: ScheduleKind; numMicroBatches: number },
): Promise<PipelineRun> {
  const numStages = shape.starts.length;
  const links = Array.from({ length: numStages - 1 }, linkPair);
  const stages = shape.starts.map((start, stage) => {
    const end = shape.starts[stage + 1] ?? model.layers.length;
    const part: ModelPart = {
      layers: model.layers.slice(start, end),
      loss: stage === numStages - 1 ? model.loss : null,
    };
    return new PipelineStage({
      tf,
      part,
      inputShape: model.layers[start]?.inputShape ?? model.loss.inputShape,
      stage,
      pipeline: { schedule: shape.schedule, numStages, numMicroBatches: shape.numMicroBatches },
      optimizer,
      from: freshState(part, optimizer.kind, SEED),
      previous: links[stage - 1]?.ends[1] ?? null,
      next: links[stage]?.ends[0] ?? null,
    });
  });
  const losses: number[] = [];
  const tensorsByStep: number[] = [];
  for (let step = 0; step < NUM_STEPS; step++) {
    const { inputs, labels } = batchOf(model, step);
    const results = await Promise.all(
      stages.map((each, stage) =>
        each.runStep({
          numRows: NUM_ROWS,
          learningRate: rateAt(step),
          ...(stage === 0 && { inputs }),
          ...(stage === numStages - 1 && { labels }),
        }),
      ),
    );
    expect(results.slice(0, -1).every((loss) => loss === null)).toBe(true);
    losses.push(results.at(-1)!);
    tensorsByStep.push(tf.memory().numTensors);
  }
  const values = Float32Array.from(stages.flatMap((stage) => [...stage.read().values]));
  for (const stage of stages) stage.dispose();
  return { values, losses, sent: links.flatMap(({ sent }) => sent), tensorsByStep };
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.hypot(...Array.from(a, (value, i) => value - b[i]!)) / Math.hypot(...Array.from(b));
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each([
  { name: 'a convolutional network', model: smallConvnet(), optimizer: SGD },
  { name: 'a convolutional network under Adam', model: smallConvnet(), optimizer: ADAM },
  { name: 'the head with proxies under Adam', model: smallHead(), optimizer: ADAM },
  { name: 'a head with hidden layers', model: smallHead({ ...PROXIES, kind: 'arcFace' }, [9, 7]), optimizer: ADAM },
])('a pipeline of $name', ({ model, optimizer }) => {
  const whole = () => trainWhole(model, optimizer);
  const cuts =
    model.layers.length > 3
      ? [[0], [0, 3], [0, 5], [0, 1, 4], [0, 2, 4, model.layers.length]]
      : [
          [0, 1],
          [0, 1, 2],
        ];

  it('learns what one machine learns, however it is cut', async () => {
    const expected = whole();
    const moved = distance(expected.values, initialValues(model, SEED));
    expect(moved).toBeGreaterThan(0.05);
    expect(expected.losses.at(-1)).not.toBe(expected.losses[0]);
    for (const starts of cuts) {
      const run = await trainPipeline(model, optimizer, {
        starts,
        schedule: 'oneForwardOneBackward',
        numMicroBatches: 3,
      });
      expect(distance(run.values, expected.values), `cut ${starts.join()}`).toBeLessThan(TOLERANCE);
      expect(distance(run.losses, expected.losses), `cut ${starts.join()}`).toBeLessThan(TOLERANCE);
    }
  });

  it('gives the same bytes under both schedules and whatever the cut', async () => {
    const of = (starts: number[], schedule: ScheduleKind) =>
      trainPipeline(model, optimizer, { starts, schedule, numMicroBatches: 4 });
    const first = await of(cuts[0]!, 'gpipe');
    for (const starts of cuts.slice(-2)) {
      for (const schedule of ['gpipe', 'oneForwardOneBackward'] as const) {
        expect((await of(starts, schedule)).values).toEqual(first.values);
      }
    }
  });

  it('keeps the number of tensors and leaves none', async () => {
    const before = tf.memory().numTensors;
    const { tensorsByStep } = await trainPipeline(model, optimizer, {
      starts: cuts.at(-1)!,
      schedule: 'gpipe',
      numMicroBatches: 4,
    });
    expect(new Set(tensorsByStep).size).toBe(1);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe.each<LossConfig>([
  { kind: 'proxyAnchor', scale: 8, margin: 0.1 },
  { kind: 'batchHardTriplet', margin: 0.3 },
  { kind: 'visnetTriplet', margin: 0.3, inClassShare: 0.3 },
  { kind: 'supCon', temperature: 0.2 },
  { kind: 'multiSimilarity', positiveScale: 2, negativeScale: 10, threshold: 0.5, margin: 0.1 },
])('a pipeline that ends in a loss over whole batches, $kind', (loss) => {
  it('learns what one machine learns, however it is cut, and keeps the number of tensors', async () => {
    const model = smallHead(loss, [7]);
    const expected = trainWhole(model, ADAM);
    expect(distance(expected.values, initialValues(model, SEED))).toBeGreaterThan(0.05);
    // The last cut leaves the last stage nothing but the loss.
    for (const starts of [[0], [0, 2], [0, 1, 3], [0, 2, 4]]) {
      const run = await trainPipeline(model, ADAM, { starts, schedule: 'gpipe', numMicroBatches: 3 });
      expect(distance(run.values, expected.values), `cut ${starts.join()}`).toBeLessThan(TOLERANCE);
      expect(distance(run.losses, expected.losses), `cut ${starts.join()}`).toBeLessThan(TOLERANCE);
      expect(new Set(run.tensorsByStep).size).toBe(1);
    }
  });

  it('refuses a schedule that goes backward before all is forward', async () => {
    const shape = { starts: [0, 2], schedule: 'oneForwardOneBackward' as const, numMicroBatches: 3 };
    await expect(trainPipeline(smallHead(loss), ADAM, shape)).rejects.toThrow(/Expected the schedule gpipe/);
  });
});

it('sends what is foretold, frame by frame', async () => {
  const model = smallConvnet();
  const names = ['pool', 'hidden'];
  const cut = cutByHand(model, names, {
    pipeline: { schedule: 'gpipe', numStages: 3, numMicroBatches: 4 },
    microBatchRows: 3,
    numMoments: 1,
    machine: { flopsPerSecond: 1, bytesPerSecond: 1, memoryBytes: Infinity },
  });
  const { sent } = await trainPipeline(model, SGD, { starts: [0, 2, 4], schedule: 'gpipe', numMicroBatches: 4 });
  const foretold = pipelineTraffic(cut, { numRows: NUM_ROWS, numMicroBatches: 4 });
  expect(sent).toHaveLength(NUM_STEPS * foretold.messages);
  expect(sent.reduce((sum, { values }) => sum + values.byteLength, 0)).toBe(NUM_STEPS * foretold.bytes);
});

it('stops before any update of the stage that sees a loss without number', async () => {
  const model = smallHead();
  const part: ModelPart = { layers: model.layers, loss: model.loss };
  const stage = new PipelineStage({
    tf,
    part,
    inputShape: model.inputShape,
    stage: 0,
    pipeline: { schedule: 'gpipe', numStages: 1, numMicroBatches: 2 },
    optimizer: SGD,
    from: freshState(part, 'sgd', SEED),
    previous: null,
    next: null,
  });
  const { inputs, labels } = batchOf(model, 0);
  inputs[inputs.length - 1] = NaN;
  const before = stage.read();
  await expect(stage.runStep({ numRows: NUM_ROWS, inputs, labels, learningRate: 0.1 })).rejects.toMatchObject({
    code: 'nonFinite',
  });
  expect(stage.read()).toEqual(before);
  stage.dispose();
});

it('refuses a frame that is not the next one of the schedule', async () => {
  const model = smallHead();
  const { ends } = linkPair();
  const part: ModelPart = { layers: model.layers.slice(1), loss: model.loss };
  const stage = new PipelineStage({
    tf,
    part,
    inputShape: [6],
    stage: 1,
    pipeline: { schedule: 'gpipe', numStages: 2, numMicroBatches: 1 },
    optimizer: SGD,
    from: freshState(part, 'sgd', SEED),
    previous: ends[1],
    next: null,
  });
  const shape = [NUM_ROWS, 6];
  await ends[0].send({ kind: 'activation', step: 7, microBatch: 0, shape, values: new Float32Array(NUM_ROWS * 6) });
  const { labels } = batchOf(model, 0);
  await expect(stage.runStep({ numRows: NUM_ROWS, labels, learningRate: 0.1 })).rejects.toThrow(
    /of step 0, got activation \[10, 6\] of micro-batch 0 of step 7/,
  );
  stage.dispose();
});
