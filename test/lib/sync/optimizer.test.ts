import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TrainConfig } from '../../../contracts/training.ts';
import { createLayout, decayRangesOf, flatten } from '../../../lib/sync/layout.ts';
import { createOptimizer } from '../../../lib/sync/optimizer.ts';
import { HeadState } from '../../../lib/train/head-state.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';

const SHAPE = { featureDim: 12, dim: 5, numLabels: 7 };
const LAYOUT = createLayout([
  { name: 'kernel', length: 60, decays: true },
  { name: 'bias', length: 5, decays: false },
  { name: 'proxies', length: 35, decays: false },
]);
const WHOLE = { start: 0, end: LAYOUT.length };
const NUM_STEPS = 200;
/** Float32 rounds each stored moment to 2^-24 of itself; over 200 steps of a contracting average the two differ by a few of those. */
const TOLERANCE = 32 * 2 ** -24;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('createOptimizer', () => {
  it.each(['adam', 'sgd'] as const)('updates by %s as the head trained in one process does', (kind) => {
    const optimizer = { kind, learningRate: 0.01, weightDecay: 0.1, momentum: 0.9 };
    const config = { dim: 5, loss: { kind: 'proxySoftmax', scale: 1, margin: 0 }, optimizer, seed: 1 } as TrainConfig;
    const head = new HeadState(tf, config, SHAPE);
    const { values, firstMoments, secondMoments } = head.read();
    const state = {
      values: flatten(LAYOUT, values),
      firstMoments: flatten(LAYOUT, firstMoments),
      secondMoments: flatten(LAYOUT, secondMoments),
    };
    const started = state.values.slice();
    const update = createOptimizer(optimizer, decayRangesOf(LAYOUT, WHOLE), LAYOUT.length);
    for (let step = 0; step < NUM_STEPS; step++) {
      const of = (name: string, shape: number[]): [string, Float32Array, number[]] => [
        name,
        normals(
          shape.reduce((a, b) => a * b),
          randomOf(name, step),
        ).map((value) => value * 10 ** -(step % 4)),
        shape,
      ];
      const gradients = [of('kernel', [12, 5]), of('bias', [5]), of('proxies', [7, 5])];
      const learningRate = 0.01 / (1 + step / 50);
      tf.tidy(() => {
        const tensors = gradients.map(([name, data, shape]) => [name, tf.tensor(data, shape)] as const);
        head.update(Object.fromEntries(tensors), learningRate, step);
      });
      const flat = flatten(LAYOUT, Object.fromEntries(gradients.map(([name, data]) => [name, data])));
      update(state, flat, { learningRate, numUpdates: step });
    }
    const expected = head.read();
    head.dispose();
    for (const key of ['values', 'firstMoments', 'secondMoments'] as const) {
      const wanted = flatten(LAYOUT, expected[key]);
      const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      wanted.forEach((value, i) => expect(Math.abs(state[key][i]! - value)).toBeLessThanOrEqual(TOLERANCE * scale));
    }
    expect(state.values.every((value, i) => value !== started[i])).toBe(true);
  });

  it('updates by Adagrad as the formula says: the sum of squares divides, and decay is apart from it', () => {
    const update = createOptimizer({ kind: 'adagrad', momentum: 0, weightDecay: 0.5 }, [{ start: 1, end: 2 }], 3);
    const state = {
      values: Float32Array.of(1, 1, 1),
      firstMoments: new Float32Array(3),
      secondMoments: new Float32Array(3),
    };
    update(state, Float32Array.of(3, 3, 0), { learningRate: 0.1, numUpdates: 0 });
    update(state, Float32Array.of(4, 4, 0), { learningRate: 0.1, numUpdates: 1 });
    expect([...state.secondMoments]).toEqual([25, 25, 0]);
    expect(state.values[0]).toBeCloseTo(1 - 0.1 - (0.1 * 4) / 5, 6);
    expect(state.values[1]).toBeCloseTo((0.95 - 0.1) * 0.95 - (0.1 * 4) / 5, 6);
    expect(state.values[2]).toBe(1);
  });

  it.each(['adam', 'sgd', 'adagrad'] as const)('by %s gives the same bytes however the vector is cut', (kind) => {
    const optimizer = { kind, momentum: 0.9, weightDecay: 0.1 };
    const stateOf = (start: number, end: number) => ({
      values: normals(100, randomOf('v')).slice(start, end),
      firstMoments: normals(100, randomOf('m')).slice(start, end),
      secondMoments: normals(100, randomOf('s')).map(Math.abs).slice(start, end),
    });
    const gradient = normals(100, randomOf('g'));
    const rates = { learningRate: 0.1, numUpdates: 3 };
    const whole = stateOf(0, 100);
    createOptimizer(optimizer, decayRangesOf(LAYOUT, WHOLE), 100)(whole, gradient, rates);
    for (const [start, end] of [
      [0, 16],
      [16, 64],
      [64, 100],
    ] as const) {
      const part = stateOf(start, end);
      const update = createOptimizer(optimizer, decayRangesOf(LAYOUT, { start, end }), end - start);
      update(part, gradient.subarray(start, end), rates);
      expect(part.values).toEqual(whole.values.subarray(start, end));
    }
  });
});
