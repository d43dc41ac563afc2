import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { principalAxes } from '../../../lib/train/principal-axes.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const DIM = 6;
/** Variances along axes of a random orthonormal frame. */
const SPREAD = [9, 4, 1, 0.25, 0.01, 0];

/** Rows with exactly these variances along the rows of `frame`. */
function rowsOf(): { rows: Float32Array; frame: number[][] } {
  const frame: number[][] = [];
  for (const at of SPREAD.keys()) {
    const direction = [...normals(DIM, randomOf('frame', at))];
    for (const other of frame) {
      const product = direction.reduce((sum, value, j) => sum + value * other[j]!, 0);
      direction.forEach((value, j) => (direction[j] = value - product * other[j]!));
    }
    const length = Math.hypot(...direction);
    frame.push(direction.map((value) => value / length));
  }
  // Plus and minus along each axis: the mean is 0, and nothing varies together.
  const rows = SPREAD.flatMap((variance, at) =>
    [1, -1].flatMap((sign) => frame[at]!.map((value) => sign * value * Math.sqrt(variance * SPREAD.length))),
  );
  return { rows: Float32Array.from(rows), frame };
}

describe('principalAxes', () => {
  it('finds the directions and variances that rows were made with, widest first', () => {
    const { rows, frame } = rowsOf();
    const { axes, variances } = principalAxes(tf, rows, DIM, 4);
    for (let k = 0; k < 4; k++) {
      expect(variances[k]).toBeCloseTo(SPREAD[k]!, 3);
      const cosine = frame[k]!.reduce((sum, value, j) => sum + value * axes[k * DIM + j]!, 0);
      expect(Math.abs(cosine)).toBeCloseTo(1, 3);
    }
  });

  it('gives rows at right angles, also as many as there are columns, beyond the rank too', () => {
    const { rows } = rowsOf();
    const { axes, variances } = principalAxes(tf, rows, DIM, DIM);
    for (let i = 0; i < 5; i++) {
      for (let j = 0; j <= i; j++) {
        const product = Array.from({ length: DIM }, (_, c) => axes[i * DIM + c]! * axes[j * DIM + c]!);
        expect(product.reduce((sum, value) => sum + value, 0)).toBeCloseTo(i === j ? 1 : 0, 4);
      }
    }
    expect(variances[5]).toBeCloseTo(0, 4);
  });

  it('leaves no tensor behind', () => {
    const { rows } = rowsOf();
    const before = tf.memory().numTensors;
    principalAxes(tf, rows, DIM, 3);
    expect(tf.memory().numTensors).toBe(before);
  });
});
