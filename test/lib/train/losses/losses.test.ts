import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LossConfig } from '../../../../contracts/training.ts';
import { createLoss, usesProxies } from '../../../../lib/train/losses/index.ts';
import { normals, randomOf } from '../../../../lib/train/random.ts';

const NUM_LABELS = 4;
const DIM = 5;
const LABELS = Int32Array.of(0, 0, 1, 1, 2, 2, 3, 3, 3);
const CONFIGS: LossConfig[] = [
  { kind: 'proxySoftmax', scale: 8, margin: 0.2 },
  { kind: 'arcFace', scale: 8, margin: 0.3 },
  { kind: 'proxyAnchor', scale: 8, margin: 0.1 },
  { kind: 'batchHardTriplet', margin: 0.3 },
  { kind: 'visnetTriplet', margin: 0.3, inClassShare: 0.3 },
  { kind: 'supCon', temperature: 0.2 },
  { kind: 'multiSimilarity', positiveScale: 2, negativeScale: 10, threshold: 0.5, margin: 0.1 },
];

function unitRows(rows: Tensor2D): Tensor2D {
  return tf.div(rows, tf.norm(rows, 'euclidean', 1, true));
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(CONFIGS)('$kind', (config) => {
  const loss = createLoss(config);
  const [rows, proxyRows] = [LABELS.length, NUM_LABELS].map((n) => normals(n * DIM, randomOf('losses', n))) as [
    Float32Array,
    Float32Array,
  ];
  const of = (raw: Tensor2D, proxies: Tensor2D, labels = LABELS): Scalar =>
    loss({
      tf,
      embeddings: unitRows(raw),
      labels,
      proxies: usesProxies(config) ? unitRows(proxies) : null,
      random: randomOf('draws'),
    });
  const at = (values: Float32Array, proxies = proxyRows, labels = LABELS): number =>
    tf.tidy(
      () =>
        of(tf.tensor2d(values, [LABELS.length, DIM]), tf.tensor2d(proxies, [NUM_LABELS, DIM]), labels).dataSync()[0]!,
    );

  it('has the gradient that central differences measure', () => {
    const gradients = tf.tidy(() =>
      tf
        .grads((raw, proxies) => tf.add(of(raw as Tensor2D, proxies as Tensor2D), tf.mul(tf.sum(proxies), 0)))([
          tf.tensor2d(rows, [LABELS.length, DIM]),
          tf.tensor2d(proxyRows, [NUM_LABELS, DIM]),
        ])
        .map((gradient) => gradient.dataSync()),
    );
    const values = [rows, proxyRows];
    for (const [k, gradient] of gradients.entries()) {
      if (k === 1 && !usesProxies(config)) continue;
      const step = 1e-2;
      const measured = values[k]!.map((_, i) => {
        const moved = (by: number): number => {
          const [a, b] = values.map((all, which) =>
            all.map((value, j) => (which === k && i === j ? value + by : value)),
          );
          return at(a!, b);
        };
        return (moved(step) - moved(-step)) / (2 * step);
      });
      expect(Math.hypot(...gradient)).toBeGreaterThan(0.01);
      const error = Math.hypot(...gradient.map((value, i) => value - measured[i]!)) / Math.hypot(...gradient);
      expect(error).toBeLessThan(0.02);
    }
  });

  it('is the same whichever way the space is turned', () => {
    // A rotation of the first two axes.
    const turned = (all: Float32Array): Float32Array =>
      all.map((value, i) => {
        const [j, row] = [i % DIM, i - (i % DIM)];
        if (j === 0) return 0.6 * value - 0.8 * all[row + 1]!;
        return j === 1 ? 0.8 * all[row]! + 0.6 * value : value;
      });
    expect(at(turned(rows), turned(proxyRows))).toBeCloseTo(at(rows), 4);
  });

  // Visnet's negatives are drawn in the order of the rows.
  it.skipIf(config.kind === 'visnetTriplet')('is the same in whichever order the rows stand', () => {
    const order = [8, 3, 0, 7, 5, 1, 6, 2, 4];
    const moved = Float32Array.from(order.flatMap((row) => [...rows.subarray(row * DIM, (row + 1) * DIM)]));
    const labels = Int32Array.from(order, (row) => LABELS[row]!);
    expect(at(moved, proxyRows, labels)).toBeCloseTo(at(rows), 4);
  });

  it('stays finite for rows that lie on each other, on their proxy and opposite to it', () => {
    const axis = (row: number, sign: number): number[] => Array.from({ length: DIM }, (_, j) => (j === row ? sign : 0));
    const raw = Float32Array.from([0, 0, 1, 1, 2, 2, 3, 3, 3].flatMap((row, i) => axis(row, i % 2 === 0 ? 1 : -1)));
    const proxies = Float32Array.from([0, 1, 2, 3].flatMap((row) => axis(row, 1)));
    const gradient = tf.tidy(() =>
      tf
        .grad((x) => of(x as Tensor2D, tf.tensor2d(proxies, [NUM_LABELS, DIM])))(tf.tensor2d(raw, [LABELS.length, DIM]))
        .dataSync(),
    );
    expect(Number.isFinite(at(raw, proxies))).toBe(true);
    expect([...gradient].every(Number.isFinite)).toBe(true);
  });

  it('is lower where equal labels lie together and different ones apart', () => {
    const together = new Float32Array(LABELS.length * DIM);
    LABELS.forEach((label, row) => {
      together[row * DIM + label] = 1;
    });
    const proxies = usesProxies(config)
      ? Float32Array.from({ length: NUM_LABELS * DIM }, (_, i) => (i % DIM === Math.floor(i / DIM) ? 1 : 0))
      : proxyRows;
    const good = tf.tidy(
      () => of(tf.tensor2d(together, [LABELS.length, DIM]), tf.tensor2d(proxies, [NUM_LABELS, DIM])).dataSync()[0]!,
    );
    expect(good).toBeLessThan(at(rows));
  });
});
