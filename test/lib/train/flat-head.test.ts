import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TrainConfig } from '../../../contracts/training.ts';
import { flatten } from '../../../lib/sync/layout.ts';
import { FlatHead } from '../../../lib/train/flat-head.ts';
import { initialValues } from '../../../lib/train/head-model.ts';
import { HeadProgram } from '../../../lib/train/head-program.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { CONFIG, noisyClusters } from './noisy-clusters.ts';

const [STEP, SLICE, NUM_SLICES] = [3, 1, 2];

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each<TrainConfig['loss']>([
  { kind: 'proxySoftmax', scale: 8, margin: 0.1 },
  { kind: 'arcFace', scale: 8, margin: 0.3 },
  { kind: 'proxyAnchor', scale: 8, margin: 0.1 },
  { kind: 'batchHardTriplet', margin: 0.3 },
  { kind: 'visnetTriplet', margin: 0.3, inClassShare: 0.3 },
  { kind: 'supCon', temperature: 0.5 },
  { kind: 'multiSimilarity', positiveScale: 2, negativeScale: 10, threshold: 0.5, margin: 0.5 },
])('the flat gradient of a slice ($kind)', (loss) => {
  const config = { ...CONFIG, loss };

  it('is the slope of the loss that central differences measure, in every parameter', () => {
    const program = new HeadProgram(tf, noisyClusters(), config);
    const head = new FlatHead(program);
    const { layout } = head;
    const values = flatten(layout, initialValues(config, program.shape));
    const at = (moved: Float32Array): number => head.gradient(moved, STEP, SLICE, NUM_SLICES).loss;
    const { gradient, weight } = head.gradient(values, STEP, SLICE, NUM_SLICES);
    expect(weight).toBe(6);
    for (const { name, offset, length } of layout.entries) {
      const direction = new Float32Array(layout.length);
      direction.set(normals(length, randomOf('direction', name)), offset);
      const slope = direction.reduce((sum, value, i) => sum + value * gradient[i]!, 0);
      const by = 1e-3;
      const moved = (sign: number): Float32Array => values.map((value, i) => value + sign * by * direction[i]!);
      const measured = (at(moved(1)) - at(moved(-1))) / (2 * by);
      expect(Math.abs(slope)).toBeGreaterThan(1e-3);
      expect(Math.abs(measured - slope)).toBeLessThan(0.02 * Math.abs(slope) + 1e-3);
    }
    head.dispose();
  });
});
