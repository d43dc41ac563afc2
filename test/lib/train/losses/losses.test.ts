import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LossConfig } from '../../../../contracts/training.ts';
import { createLoss } from '../../../../lib/train/losses/index.ts';
import { normals, randomOf } from '../../../../lib/train/random.ts';

const NUM_LABELS = 4;
const DIM = 5;
const LABELS = Int32Array.of(0, 0, 1, 1, 2, 2, 3, 3, 3);
const CONFIGS: LossConfig[] = [
  { kind: 'proxySoftmax', scale: 8, margin: 0.2 },
  { kind: 'batchHardTriplet', margin: 0.3 },
  { kind: 'visnetTriplet', margin: 0.3, inClassShare: 0.3 },
  { kind: 'supCon', temperature: 0.2 },
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
  const of = (raw: Tensor2D, proxies: Tensor2D): Scalar =>
    loss({
      tf,
      embeddings: unitRows(raw),
      labels: LABELS,
      proxies: config.kind === 'proxySoftmax' ? unitRows(proxies) : null,
      random: randomOf('draws'),
    });
  const at = (values: Float32Array): number =>
    tf.tidy(
      () => of(tf.tensor2d(values, [LABELS.length, DIM]), tf.tensor2d(proxyRows, [NUM_LABELS, DIM])).dataSync()[0]!,
    );

  it('has the gradient that central differences measure', () => {
    const gradient = tf.tidy(() =>
      tf
        .grad((raw) => of(raw as Tensor2D, tf.tensor2d(proxyRows, [NUM_LABELS, DIM])))(
          tf.tensor2d(rows, [LABELS.length, DIM]),
        )
        .dataSync(),
    );
    const step = 1e-2;
    const measured = rows.map((_, i) => {
      const moved = (by: number): number => at(rows.map((value, j) => (i === j ? value + by : value)));
      return (moved(step) - moved(-step)) / (2 * step);
    });

    expect(Math.hypot(...gradient)).toBeGreaterThan(0.01);
    const error = Math.hypot(...gradient.map((value, i) => value - measured[i]!)) / Math.hypot(...gradient);
    expect(error).toBeLessThan(0.02);
  });

  it('is lower where equal labels lie together and different ones apart', () => {
    const together = new Float32Array(LABELS.length * DIM);
    LABELS.forEach((label, row) => {
      together[row * DIM + label] = 1;
    });
    const proxies =
      config.kind === 'proxySoftmax'
        ? Float32Array.from({ length: NUM_LABELS * DIM }, (_, i) => (i % DIM === Math.floor(i / DIM) ? 1 : 0))
        : proxyRows;
    const good = tf.tidy(
      () => of(tf.tensor2d(together, [LABELS.length, DIM]), tf.tensor2d(proxies, [NUM_LABELS, DIM])).dataSync()[0]!,
    );
    expect(good).toBeLessThan(at(rows));
  });
});
