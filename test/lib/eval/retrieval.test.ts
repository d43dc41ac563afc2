import { describe, expect, it } from 'vitest';
import { evaluateRetrieval } from '../../../lib/eval/retrieval.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';

/** Sorts everything, the way the definition reads. */
function naive(queries: number[][], queryLabels: string[], catalogue: number[][], labels: string[], ks: number[]) {
  const unit = (v: number[]): number[] => v.map((x) => Math.fround(x / Math.hypot(...v)));
  const dot = (a: number[], b: number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  const items = catalogue.map(unit);
  const recalls = ks.map(() => 0);
  let precision = 0;
  queries.forEach((query, q) => {
    const scores = items.map((item) => dot(unit(query), item));
    const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
    const hits = order.map((row) => labels[row] === queryLabels[q]);
    ks.forEach((k, j) => (recalls[j]! += hits.slice(0, k).some(Boolean) ? 1 : 0));
    const precisions = hits.flatMap((hit, i) => (hit ? [hits.slice(0, i + 1).filter(Boolean).length / (i + 1)] : []));
    precision += precisions.length === 0 ? 0 : precisions.reduce((a, b) => a + b) / precisions.length;
  });
  return { recall: recalls.map((r) => r / queries.length), mAP: precision / queries.length };
}

describe('evaluateRetrieval', () => {
  it('agrees with sorting everything, on random vectors of odd length', () => {
    const dim = 13;
    const random = randomOf('retrieval');
    const rows = (n: number): number[][] => Array.from({ length: n }, () => [...normals(dim, random)]);
    const labelled = (n: number): string[] => Array.from({ length: n }, () => `l${Math.floor(random() * 9)}`);
    const [queries, catalogue] = [rows(37), rows(211)];
    const [queryLabels, catalogueLabels] = [labelled(37), labelled(211)];
    queryLabels[0] = 'in no row of the catalogue';
    const ks = [1, 5, 10];

    const quality = evaluateRetrieval({
      dim,
      queries: Float32Array.from(queries.flat()),
      queryLabels,
      catalogue: Float32Array.from(catalogue.flat()),
      catalogueLabels,
      ks,
    });

    const expected = naive(queries, queryLabels, catalogue, catalogueLabels, ks);
    expect(Object.values(quality.recall)).toEqual(expected.recall);
    expect(quality.mAP).toBeCloseTo(expected.mAP, 6);
    expect(quality).toMatchObject({ numQueries: 37, numCatalogue: 211 });
  });

  it('gives equal scores to the lower row', () => {
    const task = { dim: 2, queries: Float32Array.of(1, 0), queryLabels: ['a'], ks: [1] };
    const catalogue = Float32Array.of(2, 0, 3, 0);
    expect(evaluateRetrieval({ ...task, catalogue, catalogueLabels: ['a', 'b'] }).recall).toEqual({ 1: 1 });
    expect(evaluateRetrieval({ ...task, catalogue, catalogueLabels: ['b', 'a'] })).toMatchObject({
      recall: { 1: 0 },
      mAP: 0.5,
    });
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9])('gives equal rows equal scores wherever they lie among %i', (numRows) => {
    const dim = 7;
    const vector = normals(dim, randomOf('equal rows'));
    const repeat = (count: number): Float32Array =>
      Float32Array.from({ length: count * dim }, (_, i) => vector[i % dim]!);
    const catalogueLabels = Array.from({ length: numRows }, (_, i) => (i === numRows - 1 ? 'last' : 'before'));
    const queryLabels = ['last', 'last', 'last'];
    const quality = evaluateRetrieval({
      dim,
      queries: repeat(3),
      queryLabels,
      catalogue: repeat(numRows),
      catalogueLabels,
      ks: [numRows - 1 || 1],
    });
    // All are equally near: the last row stands last.
    expect(quality.mAP).toBeCloseTo(1 / numRows, 12);
    expect(Object.values(quality.recall)).toEqual([numRows === 1 ? 1 : 0]);
  });

  it('states no recall of no queries', () => {
    const task = { dim: 2, queries: new Float32Array(0), queryLabels: [], ks: [1, 5] };
    expect(evaluateRetrieval({ ...task, catalogue: Float32Array.of(1, 0), catalogueLabels: ['a'] })).toEqual({
      ...{ numQueries: 0, numCatalogue: 1, recall: {}, mAP: null },
    });
  });

  it('refuses vectors that are not finite or of another length', () => {
    const task = { dim: 2, queryLabels: ['a'], catalogue: Float32Array.of(1, 0), catalogueLabels: ['a'], ks: [1] };
    expect(() => evaluateRetrieval({ ...task, queries: Float32Array.of(NaN, 0) })).toThrow(/finite/);
    expect(() => evaluateRetrieval({ ...task, queries: Float32Array.of(1, 0, 0) })).toThrow(/1 x 2/);
  });
});
