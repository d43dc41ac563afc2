import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { DataParallelConfig, TrainConfig } from '../../../contracts/training.ts';
import { createPushEncoders } from '../../../infra/sync/push-encoders.ts';
import { decodeGradient } from '../../../lib/sync/compression/index.ts';
import { partition } from '../../../lib/sync/layout.ts';
import type { ParameterClient } from '../../../lib/sync/protocol.ts';
import { planOf } from '../../../lib/train/data-parallel-plan.ts';
import { FlatHead } from '../../../lib/train/flat-head.ts';
import { HeadProgram } from '../../../lib/train/head-program.ts';
import { Lead } from '../../../lib/train/lead.ts';
import { trainHead } from '../../../lib/train/train-head.ts';
import { trainReplica } from '../../../lib/train/train-replica.ts';
import type { TrainState } from '../../../lib/train/train-state.ts';
import { Killed, bytesOf, data, distance, oneWorker, parallel, run, shardsOf } from './local-run.ts';
import { CONFIG } from './noisy-clusters.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('a synchronous run', () => {
  for (const replicas of [2, 3, 6]) {
    it(`of ${replicas} replicas ends in the bits of one worker doing all slices, however requests interleave`, async () => {
      const config = parallel({ replicas });
      const expected = oneWorker(config);
      for (const order of [undefined, 1, 2]) expect(bytesOf(await run(config, { order: order! }))).toEqual(expected);
    });
  }

  it('ends in the same bits on any number of shards', async () => {
    const [one, two, five] = await Promise.all(
      [1, 2, 5].map((shards) => run(parallel({ exchange: { kind: 'parameterServer', shards } }))),
    );
    expect(bytesOf(two!)).toEqual(bytesOf(one!));
    expect(bytesOf(five!)).toEqual(bytesOf(one!));
  });
});

describe.each(['adam', 'sgd'] as const)('one replica (%s)', (kind) => {
  const train = { optimizer: { ...CONFIG.optimizer, kind } };
  const sync = parallel({ replicas: 1 }, train);
  const async = parallel({ replicas: 1, mode: { kind: 'async', pushEvery: 1, fetchEvery: 1 } }, train);

  it('learns what a single process learns, in both modes: equal recalls, kernels within 1e-4', async () => {
    const single = await trainHead(tf, data, { ...CONFIG, ...train });
    for (const config of [sync, async]) {
      const head = await run(config);
      expect(head.recallByEpoch).toEqual(single.recallByEpoch);
      expect(head.bestEpoch).toBe(single.bestEpoch);
      expect(distance(head, single)).toBeLessThan(1e-4);
    }
  });

  it('goes on from a checkpoint of a single process, and a single process from its', async () => {
    const [singles, parallels]: [TrainState[], TrainState[]] = [[], []];
    const whole = await trainHead(tf, data, { ...CONFIG, ...train }, undefined, {
      onCheckpoint: (state) => Promise.resolve(void singles.push(structuredClone(state))),
    });
    await run(sync, { onCheckpoint: (state) => void parallels.push(state) });
    expect(parallels.map(({ step, recallByEpoch }) => ({ step, recallByEpoch }))).toEqual(
      singles.map(({ step, recallByEpoch }) => ({ step, recallByEpoch })),
    );
    for (const from of [singles[1]!, parallels[1]!]) {
      for (const head of [await run(sync, { from }), await trainHead(tf, data, { ...CONFIG, ...train }, from)]) {
        expect(head.recallByEpoch).toEqual(whole.recallByEpoch);
        expect(distance(head, whole)).toBeLessThan(1e-4);
      }
    }
  });

  it('ends in the same bits in every mode', async () => {
    const expected = bytesOf(await run(sync));
    expect(bytesOf(await run(async))).toEqual(expected);
    expect(expected).toEqual(oneWorker(sync));
  });
});

describe('every loss', () => {
  it.each<TrainConfig['loss']>([
    { kind: 'batchHardTriplet', margin: 0.3 },
    { kind: 'visnetTriplet', margin: 0.3, inClassShare: 0.3 },
    { kind: 'supCon', temperature: 0.2 },
  ])('is the same on three replicas as on one worker: $kind', async (loss) => {
    const config = parallel({}, { loss, epochs: 3 });
    expect(bytesOf(await run(config, { order: 3 }))).toEqual(oneWorker(config));
  });
});

describe('a stale synchronous run', () => {
  it('of no staleness is a synchronous one, bit for bit', async () => {
    const sync = bytesOf(await run(parallel()));
    expect(bytesOf(await run(parallel({ mode: { kind: 'ssp', staleness: 0 } }), { order: 4 }))).toEqual(sync);
  });

  it('of some staleness uses it, keeps to its bound, validates every epoch and learns', async () => {
    const config = parallel({ mode: { kind: 'ssp', staleness: 2 } }, { epochs: 40 });
    const { shards, recallByEpoch, recall } = await run(config, { order: 5 });
    const { staleness, numPushes, step } = shards.statistics();
    expect(staleness).toHaveLength(3);
    expect(staleness[1]! + staleness[2]!).toBeGreaterThan(0);
    expect([numPushes, step]).toEqual([3 * 80, 80]);
    expect(recallByEpoch).toHaveLength(40);
    expect(recall).toBeGreaterThan(0.6);
  });
});

describe('a run with a backup worker', () => {
  it('goes on without the slowest slice, counts what it drops, and ends with all epochs validated', async () => {
    const config = parallel({ mode: { kind: 'sync', backups: 1 } }, { epochs: 40 });
    const { shards, recallByEpoch, recall } = await run(config, { order: 6 });
    expect(shards.statistics().numDropped).toBeGreaterThan(0);
    expect(recallByEpoch).toHaveLength(40);
    expect(recall).toBeGreaterThan(0.6);
  });
});

describe('an asynchronous run', () => {
  it('takes every slice of every step once, also when a replica and the lead are killed, and learns', async () => {
    const config = parallel({ mode: { kind: 'async', pushEvery: 1, fetchEvery: 1 } }, { epochs: 40 });
    let kills = 0;
    const { shards, recall, recallByEpoch } = await run(config, {
      order: 7,
      onStep: (rank, { step }) => {
        if (kills < 2 && rank === kills && step === 20 + 20 * kills) {
          kills++;
          throw new Killed();
        }
      },
    });
    const { numPushes, staleness, nextStepBySlice } = shards.statistics();
    expect(kills).toBe(2);
    expect(numPushes).toBe(3 * 80);
    expect(nextStepBySlice).toEqual([80, 80, 80]);
    expect(staleness.slice(1).reduce((sum, count) => sum + count)).toBeGreaterThan(0);
    expect(recallByEpoch).toHaveLength(40);
    expect(recall).toBeGreaterThan(0.6);
  });

  it('pushes and fetches as seldom as it is told, the last push also when it is short', async () => {
    const config = parallel({ mode: { kind: 'async', pushEvery: 3, fetchEvery: 2 } }, { epochs: 40 });
    let pulls = 0;
    const { shards, recall } = await run(config, {
      wrap: (client, rank) => ({ ...client, pull: (request) => ((pulls += rank === 1 ? 1 : 0), client.pull(request)) }),
    });
    expect(shards.statistics()).toMatchObject({ numPushes: 3 * Math.ceil(80 / 3), step: 3 * Math.ceil(80 / 3) });
    expect(pulls).toBe(80 / 2);
    expect(recall).toBeGreaterThan(0.6);
  });
});

describe('the lead', () => {
  it('stops where a single process would, and keeps the same epoch', async () => {
    const train = { patience: 2, epochs: 30 };
    const single = await trainHead(tf, data, { ...CONFIG, ...train });
    const { bestEpoch, recallByEpoch, recall } = await run(parallel({ replicas: 1 }, train));
    expect(recallByEpoch.length).toBeLessThan(30);
    expect({ bestEpoch, recallByEpoch, recall }).toEqual({
      bestEpoch: single.bestEpoch,
      recallByEpoch: single.recallByEpoch,
      recall: single.recall,
    });
    const three = await run(parallel({}, train));
    expect(three.recallByEpoch.length).toBe(three.bestEpoch + 1 + train.patience);
  });

  it('stops also when others went past the end of an epoch without its slice', async () => {
    const config = parallel({ mode: { kind: 'sync', backups: 1 } }, { patience: 2, epochs: 30 });
    const program = new HeadProgram(tf, data, config);
    const client = shardsOf(config, program.shape).connect();
    const lead = new Lead({ program, plan: planOf(config) });
    await lead.take(client);
    const { values } = await client.pull({ step: 0 });
    const head = new FlatHead(program);
    onTestFinished(() => head.dispose());
    const every = program.stepsPerEpoch;
    const stops: boolean[] = [];
    for (const step of [every, 2 * every, 3 * every + 1]) {
      stops.push(await lead.visit(client, head, step, { version: step, values }));
    }
    expect(stops).toEqual([false, false, true]);
  });
});

describe('a replica', () => {
  it('keeps the number of tensors over steps and leaves none behind', async () => {
    const before = tf.memory().numTensors;
    const counts = new Set<number>();
    await run(parallel({ replicas: 1 }), { onStep: () => void counts.add(tf.memory().numTensors) });
    expect(counts.size).toBe(1);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('pushes nothing of a step that is not finite, and ends', async () => {
    const config = parallel({ replicas: 1 });
    const spoilt = { ...data, features: data.features.map((value, i) => (i === 3 ? NaN : value)) };
    const [plan, program] = [planOf(config), new HeadProgram(tf, spoilt, config)];
    const shards = shardsOf(config, program.shape);
    const replica = trainReplica({
      program,
      plan,
      rank: 0,
      lead: new Lead({ program, plan }),
      connect: () => Promise.resolve(shards.connect()),
      pause: () => Promise.resolve(),
    });
    await expect(replica).rejects.toMatchObject({ code: 'nonFinite' });
    expect(shards.statistics().numPushes).toBeLessThan(program.numSteps);
  });

  it.each(['unavailable', 'conflict'] as const)('reports shards that stay away: %s', async (code) => {
    const config = parallel({ replicas: 1 });
    const reasons: string[] = [];
    const replica = trainReplica({
      program: new HeadProgram(tf, data, config),
      plan: planOf(config),
      rank: 0,
      connect: () => Promise.reject(new LookalikeError(code, 'Nobody is there.')),
      pause: () => Promise.resolve(),
      onWaiting: (reason) => void reasons.push(reason),
    });
    await expect(replica).rejects.toMatchObject({ code: 'unavailable' });
    expect(reasons.length).toBeGreaterThan(5);
  });

  it('is not one of more than a batch has labels', async () => {
    await expect(run(parallel({ replicas: 7 }))).rejects.toMatchObject({
      code: 'invalidInput',
      message: expect.stringMatching(/at most 6 replicas.*got 7/) as string,
    });
  });
});

describe('a slice', () => {
  it.each<TrainConfig['loss']['kind']>(['batchHardTriplet', 'supCon'])(
    'of one label is refused by a loss over pairs, though the configuration asks for more: %s',
    (kind) => {
      const loss: TrainConfig['loss'] =
        kind === 'supCon' ? { kind, temperature: 0.2 } : { kind: 'batchHardTriplet', margin: 0.3 };
      const config = parallel({ replicas: 4 }, { loss, labelsPerBatch: 16 });
      const program = new HeadProgram(tf, data, config);
      const head = new FlatHead(program);
      onTestFinished(() => head.dispose());
      const values = new Float32Array(head.layout.length);
      const refused = /at most 3 replicas.*6 labels.*needs 2, got 4.*replicas/;
      for (const slice of [0, 1, 2, 3]) expect(() => head.gradient(values, 0, slice, 4)).toThrow(refused);
      expect(() => head.gradient(values, 0, 0, 3)).not.toThrow();
    },
  );
});

describe('a plan', () => {
  it.each<{ kind: DataParallelConfig['compression']; isExact: boolean }>([
    { kind: { kind: 'none' }, isExact: true },
    { kind: { kind: 'fp16' }, isExact: true },
    { kind: { kind: 'topK', share: 0.1 }, isExact: false },
    { kind: { kind: 'oneBit' }, isExact: false },
  ])('promises equal bytes only where nothing is carried over from push to push: $kind.kind', ({ kind, isExact }) => {
    expect(planOf(parallel({ compression: kind })).isExact).toBe(isExact);
  });
});

describe('what compression costs', () => {
  const train = { epochs: 40 };

  /** Every gradient as it arrives at the shards. */
  const over = (compression: DataParallelConfig['compression']) => {
    const config = parallel({ compression }, train);
    const encodersOf = new Map<number, ReturnType<typeof createPushEncoders>>();
    return run(config, {
      wrap(client, rank) {
        const ranges = partition(client.layout.length, 2);
        const encoders = encodersOf.get(rank) ?? createPushEncoders(compression, ranges);
        encodersOf.set(rank, encoders);
        const push: ParameterClient['push'] = (whole, signal) => {
          const gradient = new Float32Array(client.layout.length);
          encoders.encode(whole, 1).forEach(({ encoding, bytes }, i) => {
            const { start, end } = ranges[i]!;
            gradient.set(decodeGradient(encoding, bytes.slice(), end - start), start);
          });
          return client.push({ ...whole, gradient }, signal);
        };
        return { ...client, push };
      },
    });
  };

  it.each<{ compression: DataParallelConfig['compression']; drop: number }>([
    { compression: { kind: 'fp16' }, drop: 0.05 },
    { compression: { kind: 'topK', share: 0.1 }, drop: 0.1 },
    { compression: { kind: 'oneBit' }, drop: 0.1 },
  ])('in recall stays within the stated bound: $compression.kind', async ({ compression, drop }) => {
    const [plain, compressed] = await Promise.all([over({ kind: 'none' }), over(compression)]);
    expect(plain.recall).toBeGreaterThan(0.6);
    expect(compressed.recall).toBeGreaterThan(plain.recall - drop);
    expect(compressed.kernel).not.toEqual(plain.kernel);
  });
});
