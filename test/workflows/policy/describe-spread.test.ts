import { describe, expect, it } from 'vitest';
import type { DataParallelConfig } from '../../../contracts/training.ts';
import { describePlaces, describeSpread } from '../../../workflows/policy/describe-spread.ts';

const CONFIG: DataParallelConfig = {
  replicas: 4,
  exchange: { kind: 'parameterServer', shards: 1 },
  mode: { kind: 'sync', backups: 0 },
  compression: { kind: 'none' },
};

describe('a spread training, in words', () => {
  it.each<[Partial<DataParallelConfig>, string]>([
    [{}, '4 replicas over 1 parameter shard; in step; gradients in full.'],
    [{ mode: { kind: 'sync', backups: 1 } }, 'in step, without the slowest 1 of each;'],
    [{ mode: { kind: 'ssp', staleness: 1 } }, 'at most 1 step apart;'],
    [{ mode: { kind: 'async', pushEvery: 2, fetchEvery: 3 } }, 'pushing every 2 and fetching every 3 steps;'],
    [{ compression: { kind: 'topK', share: 0.0125 } }, 'the largest 1.25 % of each gradient.'],
    [{ compression: { kind: 'oneBit' } }, 'one bit per value of a gradient.'],
    [{ compression: { kind: 'fp16' } }, 'gradients at half precision.'],
    [{ exchange: { kind: 'allReduce', bucketBytes: 1 } }, '4 replicas over a ring;'],
  ])('says %j', (change, words) => {
    expect(describeSpread({ ...CONFIG, ...change })).toContain(words);
  });

  it('names the host of each part, and which still wait for one', () => {
    const placed = [
      { role: 'parameters', index: 0, host: 'b' } as const,
      { role: 'replica', index: 1, host: 'a' } as const,
    ];
    expect(describePlaces({ replicas: 2, parameters: 1 }, placed).split('\n').slice(2)).toEqual([
      '| replica 0, leads | waits for a trainer |',
      '| replica 1 | `a` |',
      '| parameter shard 0 | `b` |',
    ]);
  });
});
