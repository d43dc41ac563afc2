import { describe, expect, it } from 'vitest';
import type { DataParallelConfig, ModelParallelConfig } from '../../../contracts/training.ts';
import { describeCut, describePlaces, describeSpread, withPlaced } from '../../../workflows/policy/describe-spread.ts';
import type { Place } from '../../../workflows/policy/describe-spread.ts';

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

  const at = (role: Place['role'], index: number, host: string): Place => ({ role, index, host });

  it('names the host of each part, and which still wait for one', () => {
    const parts = [
      { role: 'parameters', index: 0, name: 'parameter shard 0' } as const,
      { role: 'replica', index: 0, name: 'replica 0' } as const,
      { role: 'replica', index: 1, name: 'replica 1' } as const,
    ];
    const text = describePlaces(parts, [at('parameters', 0, 'b'), at('replica', 1, 'a')]);
    expect(text).toMatch(/^On 2 trainers, 1 part waiting for one; a part that is lost goes on at any that lives\./);
    expect(text.split('\n').slice(4)).toEqual([
      '| replica 0, leads | waits for a trainer |',
      '| replica 1 | `a` |',
      '| parameter shard 0 | `b` |',
    ]);
  });

  it('says that the run goes on with the hosts that are left, and which parts have moved', () => {
    let placed: Place[] = [];
    for (const part of [at('replica', 0, 'a'), at('replica', 1, 'b'), at('replica', 1, 'b'), at('replica', 1, 'a')]) {
      placed = withPlaced(placed, part);
    }
    const parts = [0, 1].map((index) => ({ role: 'replica', index, name: `replica ${index}` }) as const);
    const text = describePlaces(parts, placed);
    expect(text).toMatch(/^On 1 trainer; /);
    expect(text).toContain('| replica 0, leads | `a` |\n| replica 1 | `a`, lost on `b` |');
  });
});

describe('a model that is cut, in words', () => {
  const cut: ModelParallelConfig = { stages: 3, cut: 'auto', microBatches: 4, schedule: 'gpipe', classifierParts: 1 };
  it.each<[Partial<ModelParallelConfig>, string]>([
    [{}, '3 stages, cut by cost; 4 micro-batches a step, all forward, then all backward.'],
    [
      { cut: [1, 2], schedule: '1f1b' },
      '3 stages, cut at layer 1, 2; 4 micro-batches a step, one forward, one backward.',
    ],
    [{ classifierParts: 5, microBatches: 1 }, 'cut by cost; the classifier over 5 processes; 1 micro-batch a step,'],
    [
      { stages: 1, maxBytesPerStage: 64_000_000 },
      '1 stage; 4 micro-batches a step, all forward, then all backward; at most 64 MB each.',
    ],
  ])('says %j', (change, words) => {
    expect(describeCut({ ...cut, ...change })).toContain(words);
  });
});
