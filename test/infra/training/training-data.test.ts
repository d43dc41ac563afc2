import { describe, expect, it } from 'vitest';
import type { SnapshotRow } from '../../../contracts/catalogue.ts';
import type { CachedFeatures } from '../../../infra/training/cached-features.ts';
import { trainingDataOf } from '../../../infra/training/training-data.ts';
import { splitSnapshot } from '../../../lib/train/split.ts';

const item = (id: string, label: string | null): SnapshotRow => ({
  ...{ role: 'item', id, image: `image of ${id}`, label, category: null, title: null, attributes: {} },
});
const holdout = (id: string, label: string): SnapshotRow => ({
  ...{ role: 'example', id, image: `image of ${id}`, label, split: 'holdout' },
});

/** Two views of two values; those of row r are 10r, 10r + 1 and 10r + 2, 10r + 3. */
function features(...ids: string[]): CachedFeatures {
  const vectors = Float32Array.from(ids.flatMap((_, row) => [0, 1, 2, 3].map((i) => 10 * row + i)));
  return { dim: 2, views: 2, vectors, rowOf: new Map(ids.map((id, row) => [`image of ${id}`, row])) };
}

describe('trainingDataOf', () => {
  it('gives all views of what is learnt and the plain one of what judges, without pictures that have no features', () => {
    const rows = [holdout('q', 'x'), holdout('lost', 'y'), item('a', 'x'), item('b', 'y'), item('gone', 'y')];
    const data = trainingDataOf(splitSnapshot(rows), features('b', 'a', 'q'), true);
    expect([...data.features]).toEqual([10, 11, 12, 13, 0, 1, 2, 3]);
    expect([...data.labels]).toEqual([0, 1]);
    expect([...data.queries]).toEqual([20, 21]);
    expect([...data.catalogue]).toEqual([10, 11, 0, 1]);
    expect([data.queryLabels, data.catalogueLabels]).toEqual([['x'], ['x', 'y']]);
  });

  it('refuses to learn from one label, and says what to give', () => {
    const rows = [item('a', 'x'), item('b', null), holdout('q', 'x')];
    expect(() => trainingDataOf(splitSnapshot(rows), features('a', 'b', 'q'), true)).toThrow(
      'Expected pictures of at least 2 labels to learn from, got 1. Give items a category or a label.',
    );
  });

  it('refuses what nothing can judge, and says what to import', () => {
    const single = [item('a', 'x'), item('b', 'y')];
    for (const rows of [single, [...single, { ...holdout('q', 'x'), image: 'image of a' }]]) {
      expect(() => trainingDataOf(splitSnapshot(rows), features('a', 'b'), true)).toThrow(
        /no holdout examples.*--as holdout/,
      );
    }
    expect(() => trainingDataOf(splitSnapshot([...single, holdout('q', 'x')]), features('a', 'b'), true)).toThrow(
      '--as holdout',
    );
  });
});
