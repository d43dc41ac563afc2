import { describe, expect, test } from 'vitest';
import { openTestStores } from '../artifacts/open-test-stores.ts';

describe('samples of queries', () => {
  test('keeps the first and the newest queries of one model of each catalogue', async () => {
    const { queries } = (await openTestStores()).registry;
    const vectorsOf = async (catalogue: string, model: string) => {
      const { reference, recent } = await queries.of(catalogue, model);
      return [reference, recent].map((vectors) => vectors.map(([first]) => first));
    };
    for (let i = 0; i < 600; i++) await queries.add('c', 'm', Float32Array.of(i, 0.5));
    await queries.add('d', 'm', Float32Array.of(7));
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
    expect(await vectorsOf('c', 'm')).toEqual([range(0, 256), range(344, 600)]);
    expect((await queries.of('c', 'm')).recent[0]).toEqual(Float32Array.of(344, 0.5));
    await queries.add('c', 'another', Float32Array.of(1));
    expect(await vectorsOf('c', 'm')).toEqual([[], []]);
    expect([await vectorsOf('c', 'another'), await vectorsOf('d', 'm')]).toEqual([
      [[1], []],
      [[7], []],
    ]);
  });
});
