import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TrainConfig } from '../../../contracts/training.ts';
import type { TrainingData } from '../../../lib/train/head-program.ts';
import { trainHead } from '../../../lib/train/train-head.ts';
import { CONFIG, noisyClusters } from './noisy-clusters.ts';

const started = (power: number): TrainConfig => ({
  ...{ ...CONFIG, start: { kind: 'principalAxes', power }, epochs: 0, dim: 16 },
  schedule: { warmupEpochs: 0 },
});

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Rows of a head's output before they are normalised. */
function project({ kernel, bias }: { kernel: Float32Array; bias: Float32Array }, rows: Float32Array, dim: number) {
  const outDim = bias.length;
  return Array.from({ length: rows.length / dim }, (_, i) =>
    Array.from({ length: outDim }, (__, d) => {
      let sum = bias[d]!;
      for (let j = 0; j < dim; j++) sum += rows[i * dim + j]! * kernel[j * outDim + d]!;
      return sum;
    }),
  );
}

function plainOf({ features, views, featureDim }: TrainingData): Float32Array {
  const numPictures = features.length / views / featureDim;
  return Float32Array.from(
    Array.from({ length: numPictures }, (_, p) => [
      ...features.subarray(p * views * featureDim, (p * views + 1) * featureDim),
    ]).flat(),
  );
}

describe('a head of principal axes', () => {
  it('without epochs keeps distances between raw features around their mean (power 0)', async () => {
    const data = noisyClusters();
    const head = await trainHead(tf, data, started(0));
    expect(head).toMatchObject({ bestEpoch: -1, recallByEpoch: [], numSteps: 0 });
    const rows = plainOf(data);
    const out = project(head, rows, data.featureDim);
    const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
      Math.hypot(...Array.from({ length: a.length }, (_, j) => a[j]! - b[j]!));
    const raw = (i: number) => rows.subarray(i * data.featureDim, (i + 1) * data.featureDim);
    const ratio = distance(out[0]!, out[1]!) / distance(raw(0), raw(1));
    for (const [i, j] of [
      [0, 5],
      [3, 17],
      [9, 20],
    ] as const) {
      expect(distance(out[i]!, out[j]!) / distance(raw(i), raw(j)) / ratio).toBeCloseTo(1, 3);
    }
    // The mean picture is the origin.
    for (let d = 0; d < 16; d++) expect(out.reduce((sum, row) => sum + row[d]!, 0) / out.length).toBeCloseTo(0, 3);
  });

  it('of power 1 gives every axis the same variance', async () => {
    const data = noisyClusters();
    const out = project(await trainHead(tf, data, started(1)), plainOf(data), data.featureDim);
    const variances = Array.from(
      { length: 16 },
      (_, d) => out.reduce((sum, row) => sum + row[d]! ** 2, 0) / out.length,
    );
    for (const variance of variances) expect(variance / variances[0]!).toBeCloseTo(1, 1);
  });

  it('is where training goes on from, and is kept where no epoch is better', async () => {
    const data = noisyClusters();
    const start = await trainHead(tf, data, started(0.2));
    const config: TrainConfig = { ...started(0.2), epochs: 30, patience: 30 };
    const trained = await trainHead(tf, data, config);
    expect(trained.recall).toBeGreaterThan(start.recall);
    const spoilt = await trainHead(tf, data, {
      ...config,
      ...{ epochs: 2, patience: 1, optimizer: { ...config.optimizer, learningRate: 1e-12, weightDecay: 0 } },
    });
    expect(spoilt).toMatchObject({ bestEpoch: -1, recall: start.recall });
    expect([...spoilt.kernel]).toEqual([...start.kernel]);
  });

  it('resumes like any other', async () => {
    const data = noisyClusters();
    const config: TrainConfig = { ...started(0.2), epochs: 4 };
    const whole = await trainHead(tf, data, config);
    let last: Parameters<typeof trainHead>[3];
    await trainHead(tf, data, config, undefined, {
      onCheckpoint: (state) => {
        last ??= state;
        return Promise.resolve();
      },
    });
    expect(last!.step).toBeGreaterThan(0);
    expect([...(await trainHead(tf, data, config, last)).kernel]).toEqual([...whole.kernel]);
  });
});
