import type { DataParallelConfig } from '../../../contracts/training.ts';

/** A way to spread a training, by the name under which it is reported. */
export interface Way {
  name: string;
  dataParallel: DataParallelConfig;
}

const RING: DataParallelConfig['exchange'] = { kind: 'allReduce', bucketBytes: 1_048_576 };

/** Every mode and compression that a bench compares, on so many replicas. */
export function waysOf(replicas: number, shards: number): Way[] {
  const way = (name: string, change: Partial<DataParallelConfig>): Way => ({
    name,
    dataParallel: {
      replicas,
      exchange: { kind: 'parameterServer', shards },
      mode: { kind: 'sync', backups: 0 },
      compression: { kind: 'none' },
      ...change,
    },
  });
  return [
    way('sync', {}),
    way('ring', { exchange: RING }),
    ...(replicas > 2 ? [way('sync, 1 backup', { mode: { kind: 'sync', backups: 1 } })] : []),
    way('ssp of 2', { mode: { kind: 'ssp', staleness: 2 } }),
    way('async', { mode: { kind: 'async', pushEvery: 1, fetchEvery: 1 } }),
    way('sync, fp16', { compression: { kind: 'fp16' } }),
    way('ring, fp16', { exchange: RING, compression: { kind: 'fp16' } }),
    way('sync, top 1 %', { compression: { kind: 'topK', share: 0.01 } }),
    way('sync, 1 bit', { compression: { kind: 'oneBit' } }),
  ];
}
