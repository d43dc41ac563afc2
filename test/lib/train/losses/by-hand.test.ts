import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LossConfig } from '../../../../contracts/training.ts';
import { createLoss } from '../../../../lib/train/losses/index.ts';
import { minePairs } from '../../../../lib/train/losses/multi-similarity.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Unit vectors of the plane at these angles, in degrees. */
const at = (degrees: number[]): number[][] =>
  degrees.map((angle) => [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)]);

function lossOf(config: LossConfig, labels: number[], rows: number[], proxies: number[] | null): number {
  return tf.tidy(
    () =>
      createLoss(config)({
        tf,
        embeddings: tf.tensor2d(at(rows)),
        labels: Int32Array.from(labels),
        proxies: proxies && tf.tensor2d(at(proxies)),
        random: () => 0.5,
      }).dataSync()[0]!,
  );
}

const cos = (degrees: number): number => Math.cos((degrees * Math.PI) / 180);
const { exp, log, log1p } = Math;

describe('arcFace', () => {
  const radians = Math.PI / 6;

  it('adds the margin to the angle of the own proxy', () => {
    // 60 degrees from its own proxy, 30 from the other: the own one counts as 90 degrees away.
    const config = { kind: 'arcFace', scale: 4, margin: radians } as const;
    const expected = -log(exp(4 * cos(90)) / (exp(4 * cos(90)) + exp(4 * cos(30))));
    expect(lossOf(config, [0], [60], [0, 90])).toBeCloseTo(expected, 3);
  });

  it('without a margin is the normalised softmax without one', () => {
    const [labels, rows, proxies] = [
      [0, 1, 1],
      [20, 80, 170],
      [0, 90, 200],
    ];
    const softmax = lossOf({ kind: 'proxySoftmax', scale: 8, margin: 0 }, labels, rows, proxies);
    expect(lossOf({ kind: 'arcFace', scale: 8, margin: 0 }, labels, rows, proxies)).toBeCloseTo(softmax, 5);
  });

  it('grows with the angle up to the opposite of the own proxy, and does not jump where the margin reaches past it', () => {
    const config = { kind: 'arcFace', scale: 4, margin: radians } as const;
    const losses = Array.from({ length: 61 }, (_, i) => lossOf(config, [0], [3 * i], [0, -90, 90]));
    // The other two proxies weigh the same at 0 and 180; only the own one decides about the sum of those below.
    const own = Array.from({ length: 61 }, (_, i) => {
      const others = [-90, 90].map((proxy) => exp(4 * cos(3 * i - proxy)));
      const sum = others[0]! + others[1]!;
      return -log((sum * exp(-losses[i]!)) / (1 - exp(-losses[i]!)));
    });
    for (let i = 1; i < own.length; i++) {
      expect(own[i]!).toBeGreaterThan(own[i - 1]!);
      expect(own[i]! - own[i - 1]!).toBeLessThan(0.3);
    }
  });
});

describe('proxyAnchor', () => {
  const config = { kind: 'proxyAnchor', scale: 4, margin: 0.1 } as const;

  it('takes the mean over present proxies of what pulls, and over all of what pushes', () => {
    const pull = log1p(exp(-4 * (cos(30) - 0.1)) + exp(-4 * (cos(60) - 0.1)));
    const push = [
      log1p(exp(4 * (cos(60) + 0.1)) + exp(4 * (cos(30) + 0.1))),
      log1p(exp(4 * (-cos(30) + 0.1)) + exp(4 * (-cos(60) + 0.1))),
    ];
    const expected = pull + (0 + push[0]! + push[1]!) / 3;
    expect(lossOf(config, [0, 0], [30, 60], [0, 90, 180])).toBeCloseTo(expected, 4);
  });

  it('overflows at no scale', () => {
    const steep = { ...config, scale: 256 };
    expect(lossOf(steep, [0], [180], [0, 180])).toBeCloseTo(256 * 1.1 + (256 * 1.1) / 2, 1);
  });
});

describe('multiSimilarity', () => {
  const config = { kind: 'multiSimilarity', positiveScale: 2, negativeScale: 10, threshold: 0.5 } as const;

  it('weighs all pairs where mining leaves all', () => {
    // Rows at 0 and 60 of one label, at 90 of another.
    const pull = log1p(exp(-2 * (cos(60) - 0.5))) / 2;
    const push = [log1p(exp(10 * (cos(90) - 0.5))), log1p(exp(10 * (cos(30) - 0.5)))];
    const third = log1p(exp(10 * (cos(90) - 0.5)) + exp(10 * (cos(30) - 0.5)));
    // The third has no positive, so that mining leaves it no negative either.
    const expected = (2 * pull + (push[0]! + push[1]!) / 10) / 3;
    expect(third).toBeGreaterThan(0);
    expect(lossOf({ ...config, margin: 2 }, [0, 0, 1], [0, 60, 90], null)).toBeCloseTo(expected, 4);
  });

  it('mines negatives nearer than the farthest positive less the margin, positives farther than the nearest negative plus it', () => {
    const labels = Int32Array.of(0, 0, 0, 1, 1);
    // Of row 0: positives 0.9 and 0.4, negatives 0.5 and 0.2.
    const similarities = new Float32Array(25);
    similarities.set([1, 0.9, 0.4, 0.5, 0.2]);
    const rowOf = (margin: number) => {
      const { positives, negatives } = minePairs(similarities, labels, margin);
      return [[...positives.subarray(0, 5)], [...negatives.subarray(0, 5)]];
    };
    expect(rowOf(0)).toEqual([
      [0, 0, 1, 0, 0],
      [0, 0, 0, 1, 0],
    ]);
    expect(rowOf(0.25)).toEqual([
      [0, 0, 1, 0, 0],
      [0, 0, 0, 1, 1],
    ]);
    expect(rowOf(0.5)).toEqual([
      [0, 1, 1, 0, 0],
      [0, 0, 0, 1, 1],
    ]);
  });

  it('is nothing where every positive is nearer than every negative by more than the margin', () => {
    expect(lossOf({ ...config, margin: 0.1 }, [0, 0, 1, 1], [0, 1, 180, 181], null)).toBe(0);
  });
});

describe('supCon', () => {
  it('with two samples per label is InfoNCE: the cross-entropy of finding the other one', () => {
    const [rows, t] = [[0, 20, 90, 130], 0.5];
    const partner = [1, 0, 3, 2];
    const terms = rows.map((row, i) => {
      const others = rows.flatMap((other, j) => (j === i ? [] : [exp(cos(row - other) / t)]));
      const right = exp(cos(row - rows[partner[i]!]!) / t);
      return -log(right / others.reduce((sum, value) => sum + value, 0));
    });
    const expected = terms.reduce((sum, value) => sum + value, 0) / 4;
    expect(lossOf({ kind: 'supCon', temperature: t }, [0, 0, 1, 1], rows, null)).toBeCloseTo(expected, 4);
  });
});
