import { describe, expect, it } from 'vitest';
import type { SnapshotRow } from '../../../contracts/catalogue.ts';
import { HOLDOUT_SHARE, splitSnapshot } from '../../../lib/train/split.ts';

const item = (id: string, label: string | null, image = `image of ${id}`): SnapshotRow => ({
  role: 'item',
  id,
  image,
  label,
  category: null,
  title: null,
  attributes: {},
});
const example = (id: string, label: string, split: 'train' | 'holdout', image = `image of ${id}`): SnapshotRow => ({
  role: 'example',
  id,
  image,
  label,
  split,
});
const ids = (pictures: { image: string }[]): string[] => pictures.map(({ image }) => image.slice('image of '.length));

describe('splitSnapshot', () => {
  it('asks the holdout examples where there are some, and learns from items and train examples', () => {
    const split = splitSnapshot([
      item('a', 'x'),
      item('b', 'y'),
      item('c', null),
      example('d', 'x', 'train'),
      example('e', 'y', 'holdout'),
    ]);
    expect(ids(split.train)).toEqual(['a', 'b', 'd']);
    expect(ids(split.queries)).toEqual(['e']);
    expect(ids(split.catalogue)).toEqual(['a', 'b']);
  });

  it('never asks with a picture that it learns from', () => {
    const split = splitSnapshot([item('a', 'x'), item('b', 'y'), example('c', 'x', 'holdout', 'image of a')]);
    expect(split.queries).toEqual([]);
  });

  it('without holdout examples keeps a share of items apart, but never the last of a label', () => {
    const many = Array.from({ length: 2000 }, (_, i) => item(`m${i}`, `label ${i % 20}`));
    const single = Array.from({ length: 300 }, (_, i) => item(`s${i}`, `alone ${i}`));
    const { train, queries, catalogue } = splitSnapshot([...many, ...single]);

    expect(queries.length / many.length).toBeGreaterThan(HOLDOUT_SHARE * 0.7);
    expect(queries.length / many.length).toBeLessThan(HOLDOUT_SHARE * 1.3);
    expect(catalogue).toEqual(train);
    expect(train.length + queries.length).toBe(2300);
    expect(new Set(train.map(({ label }) => label)).size).toBe(320);
    const learnt = new Set(ids(train));
    expect(ids(queries).filter((id) => learnt.has(id))).toEqual([]);
  });

  it('keeps what was held out held out when the catalogue grows', () => {
    const before = Array.from({ length: 400 }, (_, i) => item(`i${i}`, `label ${i % 4}`));
    const grown = [...before, ...Array.from({ length: 400 }, (_, i) => item(`n${i}`, `label ${i % 8}`))];
    const held = new Set(ids(splitSnapshot(grown).queries));
    expect(ids(splitSnapshot(before).queries).filter((id) => !held.has(id))).toEqual([]);
  });

  it('holds out an item of any small catalogue in which a label has two pictures, and none where none has', () => {
    for (let run = 0; run < 200; run++) {
      const rows = [item(`a${run}`, 'x'), item(`b${run}`, 'x'), item(`c${run}`, 'y'), item(`d${run}`, 'y')];
      const { train, queries } = splitSnapshot(rows);
      expect(queries.length).toBeGreaterThan(0);
      expect(new Set(train.map(({ label }) => label)).size).toBe(2);
      expect(splitSnapshot([rows[0]!, rows[2]!]).queries).toEqual([]);
      expect(splitSnapshot([item('p', 'x', 'one'), item('q', 'x', 'one'), item('r', 'y')]).queries).toEqual([]);
    }
  });
});
