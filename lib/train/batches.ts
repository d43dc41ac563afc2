import { LookalikeError } from '../../contracts/errors.ts';
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

/**
 * One of the even, contiguous groups of labels that a batch is cut into. A loss compares rows within a slice, so that its
 * gradient is a pure function of (seed, step, slice), whoever computes it.
 * @param minLabels without which a slice has nothing to compare
 * @throws LookalikeError `invalidInput` when there are too few labels for so many slices
 */
export function sliceOf({ rows, labels }: Batch, slice: number, numSlices: number, minLabels = 1): Batch {
  // Every label of a batch has equally many rows, one after another.
  const perLabel = labels.findIndex((label) => label !== labels[0]);
  const samples = perLabel === -1 ? labels.length : perLabel;
  const numLabels = labels.length / samples;
  if (numSlices > 1 && numSlices * minLabels > numLabels) {
    throw new LookalikeError(
      'invalidInput',
      `Expected at most ${Math.max(1, Math.floor(numLabels / minLabels))} replicas, as each batch has ${numLabels} labels and each ` +
        `replica needs ${minLabels}, got ${numSlices}. Lower train.dataParallel.replicas, or raise ` +
        'train.labelsPerBatch where the data has more labels.',
    );
  }
  const cut = (at: number): number => Math.floor((at * numLabels) / numSlices) * samples;
  return { rows: rows.subarray(cut(slice), cut(slice + 1)), labels: labels.subarray(cut(slice), cut(slice + 1)) };
}
