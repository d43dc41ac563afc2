import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createLayout,
  decayRangesOf,
  flatten,
  partition,
  shardConfigsOf,
  unflatten,
} from '../../../lib/sync/layout.ts';

const LAYOUT = createLayout([
  { name: 'kernel', length: 40, decays: true },
  { name: 'bias', length: 3, decays: false },
  { name: 'proxies', length: 17, decays: true },
]);
const filled = (length: number, from: number): Float32Array => Float32Array.from({ length }, (_, i) => from + i);
const PARAMETERS = { kernel: filled(40, 0), bias: filled(3, 40), proxies: filled(17, 43) };

describe('layout', () => {
  it('lays parameters end to end and takes them apart again without a copy', () => {
    const vector = flatten(LAYOUT, PARAMETERS);
    expect(vector).toEqual(filled(60, 0));
    expect(unflatten(LAYOUT, vector)).toEqual(PARAMETERS);
    expect(unflatten(LAYOUT, vector)['bias']!.buffer).toBe(vector.buffer);
  });

  it('refuses what does not fit', () => {
    const mismatch = expect.objectContaining({ code: 'dimensionMismatch' }) as Error;
    expect(() => flatten(LAYOUT, { ...PARAMETERS, bias: new Float32Array(4) })).toThrow(mismatch);
    expect(() => flatten(LAYOUT, { kernel: PARAMETERS.kernel })).toThrow(mismatch);
    expect(() => unflatten(LAYOUT, new Float32Array(59))).toThrow(mismatch);
    const twice = { name: 'kernel', length: 1, decays: true };
    expect(() => createLayout([twice, twice])).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });

  it('is cut into even ranges without gap or overlap, each at a cache line', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 32 }), (length, wanted) => {
        const numShards = Math.min(wanted, Math.ceil(length / 16));
        const ranges = partition(length, numShards);
        expect(ranges).toHaveLength(numShards);
        expect(ranges[0]!.start).toBe(0);
        expect(ranges.at(-1)!.end).toBe(length);
        ranges.slice(1).forEach(({ start }, i) => expect(start).toBe(ranges[i]!.end));
        const sizes = ranges.map(({ start, end }) => end - start);
        expect(ranges.every(({ start }) => start % 16 === 0)).toBe(true);
        expect(Math.min(...sizes)).toBeGreaterThan(0);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(32);
      }),
    );
    for (const numShards of [0, 1.5, 5]) {
      expect(() => partition(64, numShards)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
    }
  });

  it('tells each shard where weight decay applies', () => {
    expect(decayRangesOf(LAYOUT, { start: 0, end: 60 })).toEqual([
      { start: 0, end: 40 },
      { start: 43, end: 60 },
    ]);
    const configs = shardConfigsOf(LAYOUT, 2, {
      numSlices: 2,
      consistency: { kind: 'immediate' },
      optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0.1 },
      checkpointEverySteps: 1,
    });
    expect(configs.map(({ range, decayRanges }) => ({ range, decayRanges }))).toEqual([
      { range: { start: 0, end: 32 }, decayRanges: [{ start: 0, end: 32 }] },
      {
        range: { start: 32, end: 60 },
        decayRanges: [
          { start: 0, end: 8 },
          { start: 11, end: 28 },
        ],
      },
    ]);
  });
});
