import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { trainHead } from '../../../lib/train/train-head.ts';
import type { TrainState } from '../../../lib/train/train-state.ts';
import { CONFIG, noisyClusters } from './noisy-clusters.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('trainHead', () => {
  const data = noisyClusters();

  it('learns to find what the noise hides', async () => {
    const { recall, recallByEpoch, kernel, bias } = await trainHead(tf, data, { ...CONFIG, epochs: 40 });
    expect(recallByEpoch).toHaveLength(40);
    expect(recall).toBe(Math.max(...recallByEpoch));
    expect(recall).toBeGreaterThan(0.6);
    expect([kernel.length, bias.length]).toEqual([16 * 8, 8]);
  });

  for (const optimizer of ['adam', 'sgd'] as const) {
    it(`ends in the same bits after resuming from any checkpoint as uninterrupted (${optimizer})`, async () => {
      const config = { ...CONFIG, optimizer: { ...CONFIG.optimizer, kind: optimizer } };
      const states: TrainState[] = [];
      const whole = await trainHead(tf, data, config, undefined, {
        onCheckpoint: (state) => {
          states.push(structuredClone(state));
          return Promise.resolve();
        },
      });
      expect(states.length).toBeGreaterThan(2);
      for (const state of states) expect(await trainHead(tf, data, config, state)).toEqual(whole);
    });
  }

  it('depends on the seed', async () => {
    const one = await trainHead(tf, data, CONFIG);
    const other = await trainHead(tf, data, { ...CONFIG, seed: 8 });
    expect(one.kernel).not.toEqual(other.kernel);
  });

  it('keeps the number of tensors over steps and leaves none behind', async () => {
    const before = tf.memory().numTensors;
    const counts = new Set<number>();
    await trainHead(tf, data, CONFIG, undefined, { onStep: () => void counts.add(tf.memory().numTensors) });
    expect(counts.size).toBe(1);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('stops before the update that a non-finite value would spoil, leaving no tensor', async () => {
    const before = tf.memory().numTensors;
    const spoilt = { ...data, features: data.features.map((value, i) => (i === 3 ? NaN : value)) };
    await expect(trainHead(tf, spoilt, CONFIG)).rejects.toMatchObject({ code: 'nonFinite' });
    expect(tf.memory().numTensors).toBe(before);
  });

  it('ends at the step where it was cancelled', async () => {
    const abort = new AbortController();
    let steps = 0;
    const run = trainHead(tf, data, CONFIG, undefined, {
      signal: abort.signal,
      onStep: () => {
        if (++steps === 3) abort.abort();
      },
    });
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(steps).toBe(3);
  });
});
