import { describe, expect, it } from 'vitest';
import type { SnapshotRow } from '../../../contracts/catalogue.ts';
import type { CachedFeatures } from '../../../infra/training/cached-features.ts';
import { readableOf, trainingDataOf, whyUntrained } from '../../../infra/training/training-data.ts';
import { splitFor } from '../../../lib/train/split-pictures.ts';
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

/** What a run sees of rows of which only these have features. */
const seen = (rows: SnapshotRow[], ...ids: string[]) => readableOf(splitSnapshot(rows), features(...ids).rowOf);

describe('trainingDataOf', () => {
  it('gives all views of what is learnt and the plain one of what judges, without pictures that have no features', () => {
    const rows = [holdout('q', 'x'), holdout('lost', 'y'), item('a', 'x'), item('b', 'y'), item('gone', 'y')];
    const data = trainingDataOf(seen(rows, 'b', 'a', 'q'), features('b', 'a', 'q'));
    expect([...data.features]).toEqual([10, 11, 12, 13, 0, 1, 2, 3]);
    expect([...data.labels]).toEqual([0, 1]);
    expect([...data.queries]).toEqual([20, 21]);
    expect([...data.catalogue]).toEqual([10, 11, 0, 1]);
    expect([data.queryLabels, data.catalogueLabels]).toEqual([['x'], ['x', 'y']]);
  });
});

describe('trainingDataOf, without labels', () => {
  it('learns from all views of all but the pictures held out, whose augmented views ask among the plain ones of all', () => {
    const rows = ['a', 'b', 'c'].map((id) => item(id, null));
    const split = splitFor(rows, 'views');
    const [asked] = split.queries;
    const cached = features('a', 'b', 'c');
    const data = trainingDataOf(readableOf(split, cached.rowOf), cached);
    const row = cached.rowOf.get(asked!.image)!;
    expect([...data.queries]).toEqual([10 * row + 2, 10 * row + 3]);
    expect(data.queryLabels).toEqual([asked!.image]);
    expect([...data.catalogue]).toEqual([0, 1, 10, 11, 20, 21]);
    expect(data.catalogueLabels).toEqual(['image of a', 'image of b', 'image of c']);
    expect(data.numLabels).toBe(2);
    expect([...data.features]).toEqual(
      [0, 1, 2].filter((r) => r !== row).flatMap((r) => [0, 1, 2, 3].map((i) => 10 * r + i)),
    );
  });
});

describe('whyUntrained', () => {
  it('says of a catalogue without labels that it can be learnt from by its pictures, if there are three', () => {
    const rows = ['a', 'b', 'c'].map((id) => item(id, null));
    expect(whyUntrained(splitFor(rows, 'views'))).toBeNull();
    expect(whyUntrained(splitFor(rows.slice(1), 'views'))).toMatch(/without labels needs at least 2 .* got 2/);
    const gone = readableOf(splitFor(rows, 'views'), new Set(['image of a']));
    expect(whyUntrained(gone)).toMatch(/got 1/);
  });

  const labelled = [item('a', 'x'), item('b', 'y'), holdout('q', 'x')];

  it('says nothing of what can be learnt and judged, also among items without a label', () => {
    expect(whyUntrained(splitSnapshot(labelled))).toBeNull();
    const most = Array.from({ length: 50 }, (_, i) => item(`without ${i}`, null));
    expect(whyUntrained(splitSnapshot([...labelled, ...most]))).toBeNull();
    expect(whyUntrained(splitSnapshot([item('a', 'x'), item('b', 'x'), item('c', 'y'), ...most]))).toBeNull();
  });

  it.each([
    ['no label', 0, [item('a', null), item('b', null)]],
    ['one label for all', 1, [item('a', 'x'), item('b', 'x'), item('c', 'x')]],
    ['one label and many items without', 1, [item('a', 'x'), item('b', null), holdout('q', 'x')]],
    ['labels of examples only', 0, [item('a', null), holdout('q', 'x'), holdout('r', 'y')]],
  ])('asks for labels where there is %s', (_, count, rows) => {
    expect(whyUntrained(splitSnapshot(rows))).toBe(
      `Learning needs items with readable pictures of at least 2 labels, got ${count}. Give items a category or a label.`,
    );
  });

  it('asks for what could judge where each label has one picture, and examples show the same ones', () => {
    const single = [item('a', 'x'), item('b', 'y')];
    for (const rows of [single, [...single, { ...holdout('q', 'x'), image: 'image of a' }]]) {
      expect(whyUntrained(splitSnapshot(rows))).toMatch(/no readable holdout examples.*--as holdout/);
    }
  });

  it('counts only pictures that can be read', () => {
    expect(whyUntrained(seen(labelled, 'a', 'b', 'q'))).toBeNull();
    expect(whyUntrained(seen(labelled, 'a', 'b'))).toMatch(/--as holdout/);
    expect(whyUntrained(seen(labelled, 'a', 'q'))).toMatch(/got 1/);
    expect(whyUntrained(seen(labelled))).toMatch(/got 0/);
  });
});
