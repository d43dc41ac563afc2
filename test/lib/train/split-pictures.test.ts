import { describe, expect, it } from 'vitest';
import type { SnapshotRow } from '../../../contracts/catalogue.ts';
import { splitFor } from '../../../lib/train/split-pictures.ts';
import { splitSnapshot } from '../../../lib/train/split.ts';

const item = (id: string, image = `image of ${id}`, label: string | null = null): SnapshotRow => ({
  ...{ role: 'item', id, image, label, category: null, title: null, attributes: {} },
});
const example = (id: string, label: string, split: 'train' | 'holdout'): SnapshotRow => ({
  ...{ role: 'example', id, image: `image of ${id}`, label, split },
});
const items = Array.from({ length: 200 }, (_, i) => item(`i${i}`));
const imagesOf = (pictures: readonly { image: string }[]): string[] => pictures.map(({ image }) => image).sort();

describe('splitFor views, of a catalogue without labels', () => {
  it('holds about a tenth of the pictures out, which ask in their augmented views among all pictures', () => {
    const { train, queries, catalogue, withheld, asks } = splitFor(items, 'views');
    expect(asks).toBe('augmented');
    expect(queries.length).toBeGreaterThan(5);
    expect(queries.length).toBeLessThan(40);
    expect(withheld).toEqual(queries);
    expect(imagesOf([...train, ...queries])).toEqual(imagesOf(catalogue));
    expect(catalogue).toHaveLength(200);
    expect([...train, ...queries].every(({ image, label }) => image === label)).toBe(true);
  });

  it('takes a picture that several items share for one, and holds it out by what it shows, not by where it stands', () => {
    const twice = [...items, ...items.map((_, i) => item(`again ${i}`, `image of i${i}`))];
    expect(splitFor(twice.toReversed(), 'views').catalogue).toHaveLength(200);
    expect(imagesOf(splitFor(twice.toReversed(), 'views').queries)).toEqual(imagesOf(splitFor(items, 'views').queries));
    const more = splitFor([...items, item('new')], 'views').queries.filter(({ image }) => image !== 'image of new');
    expect(imagesOf(more)).toEqual(imagesOf(splitFor(items, 'views').queries));
  });

  it('holds one picture out of a few, so that there is something to judge by', () => {
    for (const n of [1, 2, 3]) expect(splitFor(items.slice(0, n), 'views').queries.length).toBeGreaterThan(0);
    expect(splitFor(items.slice(0, 3), 'views').train).toHaveLength(2);
  });
});

describe('splitFor views, where answers are known', () => {
  it('judges by them, and learns from every other picture, labelled or not, without a label', () => {
    const rows = [
      ...items,
      item('a', 'A', 'x'),
      item('b', 'B', 'y'),
      example('q', 'x', 'holdout'),
      example('t', 'y', 'train'),
    ];
    const { train, queries, catalogue, withheld, asks } = splitFor(rows, 'views');
    const known = splitSnapshot(rows);
    expect([queries, catalogue]).toEqual([known.queries, known.catalogue]);
    expect([asks, withheld]).toEqual([undefined, []]);
    expect(train).toHaveLength(203);
    expect(train).toContainEqual({ image: 'image of t', label: 'image of t' });
    expect(imagesOf(train)).not.toContain('image of q');
  });

  it('does not learn from items that judge until they have judged', () => {
    const rows = [item('a', 'A', 'x'), item('a2', 'A2', 'x'), item('b', 'B', 'y'), item('b2', 'B2', 'y')];
    const { train, queries, withheld } = splitFor(rows, 'views');
    expect(queries).toEqual(splitSnapshot(rows).queries);
    expect(imagesOf(withheld)).toEqual(imagesOf(queries));
    expect(imagesOf([...train, ...withheld])).toEqual(['A', 'A2', 'B', 'B2']);
  });
});

describe('splitFor labels', () => {
  it('is the split by labels, also when nothing is said', () => {
    const rows = [item('a', 'A', 'x'), item('a2', 'A2', 'x'), item('b', 'B', 'y')];
    expect(splitFor(rows)).toEqual(splitSnapshot(rows));
    expect(splitFor(rows, 'labels')).toEqual(splitSnapshot(rows));
  });
});
