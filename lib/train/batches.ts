import type { TrainConfig } from '../../contracts/training.ts';
import { randomOf, sampleDistinct } from './random.ts';

/** Pictures by label: `byLabel[c]` lists the pictures that carry label c. Every label has at least one. */
export interface Pool {
  byLabel: readonly (readonly number[])[];
  numPictures: number;
  views: number;
}

/** Row i of the batch is feature row `rows[i]` (picture * views + view) with label `labels[i]`. */
export interface Batch {
  rows: Int32Array;
  labels: Int32Array;
}

type BatchShape = Pick<TrainConfig, 'labelsPerBatch' | 'samplesPerLabel' | 'seed'>;

export function stepsPerEpoch(pool: Pool, { labelsPerBatch, samplesPerLabel }: Omit<BatchShape, 'seed'>): number {
  return Math.max(1, Math.ceil(pool.numPictures / (Math.min(labelsPerBatch, pool.byLabel.length) * samplesPerLabel)));
}

/**
 * The class-balanced batch of one step, a pure function of (seed, step): distinct labels, and of each label distinct pictures
 * while it has them, each in a random view. A label with fewer pictures repeats them in other views.
 */
export function batchOf(pool: Pool, { labelsPerBatch, samplesPerLabel, seed }: BatchShape, step: number): Batch {
  const random = randomOf(seed, 'batch', step);
  const chosen = sampleDistinct(labelsPerBatch, pool.byLabel.length, random);
  const rows = new Int32Array(chosen.length * samplesPerLabel);
  const labels = new Int32Array(rows.length);
  let at = 0;
  for (const label of chosen) {
    const pictures = pool.byLabel[label]!;
    const order = sampleDistinct(samplesPerLabel, pictures.length, random);
    const views = order.map(() => Math.floor(random() * pool.views));
    for (let i = 0; i < samplesPerLabel; i++, at++) {
      const turn = Math.floor(i / order.length);
      const view = (views[i % order.length]! + turn) % pool.views;
      rows[at] = pictures[order[i % order.length]!]! * pool.views + view;
      labels[at] = label;
    }
  }
  return { rows, labels };
}
