import { describe, expect, test } from 'vitest';
import { encodedBytes } from '../../../lib/sync/compression/index.ts';
import type { Cluster, Scenario, Stragglers, Workload } from '../../../lib/advise/setup.ts';
import { simulate } from '../../../lib/advise/simulate.ts';

const CALM: Stragglers = { variation: 0, slowShare: 0, slowFactor: 1 };
const WORKLOAD: Workload = { numParameters: 1_000_000, computeSeconds: 0.1 };
const CLUSTER: Cluster = {
  replicas: 4,
  bitsPerSecond: 1e9,
  messageSeconds: 2e-4,
  frameSeconds: 0,
  byteSeconds: 0,
  updateBytesPerSecond: 4e9,
  codecSecondsPerParameter: 0,
  stragglers: CALM,
};
const SERVER: Scenario['strategy'] = {
  exchange: { kind: 'parameterServer', shards: 4 },
  mode: { kind: 'sync', backups: 0 },
  compression: { kind: 'none' },
};
const RING: Scenario['strategy'] = { ...SERVER, exchange: { kind: 'allReduce', bucketBytes: 1e9 } };

function predict(change: {
  workload?: Partial<Workload>;
  cluster?: Partial<Cluster>;
  strategy?: Partial<Scenario['strategy']>;
  numSteps?: number;
}) {
  return simulate({
    workload: { ...WORKLOAD, ...change.workload },
    cluster: { ...CLUSTER, ...change.cluster },
    strategy: { ...SERVER, ...change.strategy },
    numSteps: change.numSteps ?? 100,
    seed: 1,
  });
}

describe('the simulator of data-parallel training', () => {
  test('one replica takes the sum of its computing, both transfers and the update', () => {
    const { slicesPerSecond } = predict({
      cluster: { replicas: 1 },
      strategy: { exchange: { kind: 'parameterServer', shards: 1 } },
    });
    const transfer = 4e6 * 8 * 1e-9 + 2e-4;
    expect(1 / slicesPerSecond).toBeCloseTo(0.1 + 2 * transfer + 4e6 / 4e9, 6);
  });

  test('a synchronous step of equal replicas is bounded by the shards’ links', () => {
    // Four replicas fetch 4 MB each through one shard's link, one after the other; the last one's push comes alone.
    const one = predict({ strategy: { exchange: { kind: 'parameterServer', shards: 1 } } });
    const step = 4 / one.slicesPerSecond;
    expect(step).toBeCloseTo(4 * 0.032 + 2e-4 + 0.1 + 0.032 + 2e-4 + 1e-3, 6);
    expect(one.meanStaleness).toBe(0);
  });

  test('a ring moves 2 (n - 1) / n of the gradient over each link, whatever n is', () => {
    const { slicesPerSecond, bytesPerStep } = predict({ strategy: RING });
    const rounds = 6;
    const step = 0.1 + rounds * (2e-4 + (1e6 * 8) / 1e9) + 1e-3;
    expect(4 / slicesPerSecond).toBeCloseTo(step, 6);
    expect(bytesPerStep).toBe(2 * (2 * 3 * 1e6));
  });

  test('each message costs its frame at both ends', () => {
    const alone = predict({ cluster: { replicas: 1, frameSeconds: 1e-3 } });
    const free = predict({ cluster: { replicas: 1 } });
    expect(1 / alone.slicesPerSecond - 1 / free.slicesPerSecond).toBeCloseTo(2 * 4e-3, 6);
  });

  test('each byte costs processor time at both ends, of which shards share theirs', () => {
    const step = (replicas: number, strategy: Partial<Scenario['strategy']>, byteSeconds: number): number =>
      replicas / predict({ cluster: { replicas, byteSeconds }, strategy }).slicesPerSecond;
    expect(step(1, {}, 1e-9) - step(1, {}, 0)).toBeCloseTo(2 * 4e6 * 1e-9 * (1 + 1 / 4), 6);
    // Six rounds, in each of which a rank prepares 1 MB and takes 1 MB in.
    expect(step(4, RING, 1e-9) - step(4, RING, 0)).toBeCloseTo(6 * 2 * 1e6 * 1e-9, 6);
  });

  test('small buckets hide what messages take on the way, and a frame of each counts', () => {
    const bucketed = (frameSeconds: number) =>
      predict({
        cluster: { frameSeconds },
        strategy: { ...RING, exchange: { kind: 'allReduce', bucketBytes: 250_000 } },
      });
    const step = (6 * (1e6 * 8)) / 1e9 + 2e-4 + 0.1 + 1e-3;
    expect(4 / bucketed(0).slicesPerSecond).toBeCloseTo(step, 6);
    expect(4 / bucketed(1e-5).slicesPerSecond).toBeCloseTo(step + 6 * 16 * 1e-5, 6);
  });

  test('bytes on the wire are those of the compression, and parameters travel whole', () => {
    expect(predict({}).bytesPerStep).toBe(8e6);
    expect(predict({ strategy: { compression: { kind: 'oneBit' } } }).bytesPerStep).toBe(
      4e6 + encodedBytes({ kind: 'oneBit' }, 1e6),
    );
  });

  test('a faster network is never slower, in any mode', () => {
    const modes: Scenario['strategy']['mode'][] = [
      { kind: 'sync', backups: 0 },
      { kind: 'ssp', staleness: 3 },
      { kind: 'async', pushEvery: 1, fetchEvery: 1 },
    ];
    for (const mode of modes) {
      const rates = [1e8, 1e9, 1e10, 1e11].map(
        (bitsPerSecond) => predict({ cluster: { bitsPerSecond }, strategy: { mode } }).slicesPerSecond,
      );
      expect(rates, mode.kind).toEqual([...rates].sort((a, b) => a - b));
    }
  });

  test('slow moments cost a barrier most, a staleness bound less, and an asynchronous run least', () => {
    const stragglers = { variation: 0.1, slowShare: 0.05, slowFactor: 4 };
    const cluster = { replicas: 16, bitsPerSecond: 1e11, stragglers };
    const run = (mode: Scenario['strategy']['mode']) => predict({ cluster, strategy: { mode }, numSteps: 300 });
    const sync = run({ kind: 'sync', backups: 0 });
    const backed = run({ kind: 'sync', backups: 2 });
    const ssp = run({ kind: 'ssp', staleness: 4 });
    const free = run({ kind: 'async', pushEvery: 1, fetchEvery: 1 });
    expect(sync.efficiency).toBeLessThan(backed.efficiency);
    expect(sync.efficiency).toBeLessThan(ssp.efficiency);
    expect(ssp.efficiency).toBeLessThan(free.efficiency * 1.02);
    expect(backed.droppedShare).toBeGreaterThan(0);
    expect(sync.droppedShare).toBe(0);
    expect(ssp.meanStaleness).toBeLessThanOrEqual(4);
    expect(free.meanStaleness).toBeGreaterThan(10);
  });

  test('gathering pushes and fetches saves bytes of an asynchronous run', () => {
    const often = predict({ strategy: { mode: { kind: 'async', pushEvery: 1, fetchEvery: 1 } } });
    const seldom = predict({ strategy: { mode: { kind: 'async', pushEvery: 4, fetchEvery: 4 } } });
    expect(seldom.bytesPerStep).toBe(often.bytesPerStep / 4);
    expect(seldom.slicesPerSecond).toBeGreaterThan(often.slicesPerSecond);
  });

  test('an efficiency never exceeds one when all computing times are equal', () => {
    for (const replicas of [1, 2, 8, 64]) {
      for (const strategy of [SERVER, RING]) {
        const { efficiency, waitShare } = predict({ cluster: { replicas }, strategy });
        expect(efficiency).toBeGreaterThan(0);
        expect(efficiency).toBeLessThanOrEqual(1);
        expect(waitShare).toBeGreaterThanOrEqual(0);
      }
    }
  });

  test('the same seed predicts the same', () => {
    const stragglers = { variation: 0.3, slowShare: 0.1, slowFactor: 3 };
    expect(predict({ cluster: { stragglers } })).toEqual(predict({ cluster: { stragglers } }));
  });

  test('what cannot be is refused with a sentence', () => {
    expect(() => predict({ cluster: { bitsPerSecond: 0 } })).toThrow(/`bitsPerSecond` to be a positive number, got 0/);
    expect(() => predict({ workload: { computeSeconds: Number.NaN } })).toThrow(/computeSeconds/);
    expect(() => predict({ strategy: { mode: { kind: 'sync', backups: 4 } } })).toThrow(
      /fewer backups than the 4 replicas/,
    );
  });
});
