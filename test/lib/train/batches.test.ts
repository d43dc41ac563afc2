import { describe, expect, it } from 'vitest';
import { batchOf, sliceOf, stepsPerEpoch } from '../../../lib/train/batches.ts';

const pool = { byLabel: [[0, 1, 2, 3], [4], [5, 6], [7, 8, 9]], numPictures: 10, views: 3 };
const shape = { labelsPerBatch: 3, samplesPerLabel: 4, seed: 5 };

describe('batchOf', () => {
  it('is a pure function of seed and step', () => {
    expect(batchOf(pool, shape, 9)).toEqual(batchOf(pool, shape, 9));
    expect(batchOf(pool, shape, 9)).not.toEqual(batchOf(pool, shape, 10));
    expect(batchOf(pool, shape, 9)).not.toEqual(batchOf(pool, { ...shape, seed: 6 }, 9));
  });

  it('takes distinct labels, equally often, with rows of that label', () => {
    for (let step = 0; step < 50; step++) {
      const { rows, labels } = batchOf(pool, shape, step);
      const counts = Map.groupBy(labels, (label) => label);
      expect([...counts.values()].map((group) => group.length)).toEqual([4, 4, 4]);
      rows.forEach((row, i) => expect(pool.byLabel[labels[i]!]).toContain(Math.floor(row / pool.views)));
    }
  });

  it('repeats a picture only when the label has no other, then in another view', () => {
    for (let step = 0; step < 50; step++) {
      const { rows, labels } = batchOf(pool, { ...shape, samplesPerLabel: 3 }, step);
      const of = (wanted: number) => [...rows].filter((_, i) => labels[i] === wanted);
      if (of(0).length > 0) expect(new Set(of(0).map((row) => Math.floor(row / 3))).size).toBe(3);
      // One picture three times: each of its three views once.
      if (of(1).length > 0) expect(new Set(of(1)).size).toBe(3);
    }
  });

  it('counts an epoch by pictures', () => {
    expect(stepsPerEpoch(pool, { labelsPerBatch: 2, samplesPerLabel: 2 })).toBe(3);
    expect(stepsPerEpoch(pool, { labelsPerBatch: 100, samplesPerLabel: 100 })).toBe(1);
  });
});

describe('slices of a batch', () => {
  const pool = {
    byLabel: Array.from({ length: 9 }, (_, label) => [2 * label, 2 * label + 1]),
    numPictures: 18,
    views: 3,
  };
  const batch = batchOf(pool, { labelsPerBatch: 7, samplesPerLabel: 2, seed: 1 }, 4);

  it.each([1, 2, 3, 7])('hold every row once, whole labels, as evenly as can be: %i', (numSlices) => {
    const slices = Array.from({ length: numSlices }, (_, slice) => sliceOf(batch, slice, numSlices));
    expect(slices.flatMap(({ rows }) => [...rows])).toEqual([...batch.rows]);
    expect(slices.flatMap(({ labels }) => [...labels])).toEqual([...batch.labels]);
    const numLabels = slices.map(({ labels }) => new Set(labels).size);
    expect(slices.map(({ rows }) => rows.length)).toEqual(numLabels.map((count) => 2 * count));
    expect(Math.max(...numLabels) - Math.min(...numLabels)).toBeLessThanOrEqual(1);
  });

  it('are at most as many as there are labels', () => {
    expect(() => sliceOf(batch, 0, 8)).toThrow('Expected at most 7 replicas');
  });
});
