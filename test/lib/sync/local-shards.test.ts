import { describe, expect, it } from 'vitest';
import { createEncoder } from '../../../lib/sync/compression/index.ts';
import { createLayout, decayRangesOf, shardConfigsOf } from '../../../lib/sync/layout.ts';
import { createOptimizer } from '../../../lib/sync/optimizer.ts';
import type { Consistency, ParameterClient, Push, ShardSeed } from '../../../lib/sync/protocol.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { LocalShards } from './local-shards.ts';
import type { LocalEncoders } from './local-shards.ts';

const LAYOUT = createLayout([
  { name: 'kernel', length: 100, decays: true },
  { name: 'bias', length: 10, decays: false },
]);
const OPTIMIZER = { kind: 'adam', momentum: 0.9, weightDecay: 0.02 } as const;
const SYNC: Consistency = { kind: 'clocked', staleness: 0, backups: 0 };
const NUM_STEPS = 12;

const parametersOf = (numShards: number, numSlices: number, consistency: Consistency = SYNC) =>
  new LocalShards(
    LAYOUT,
    shardConfigsOf(LAYOUT, numShards, { numSlices, consistency, optimizer: OPTIMIZER, checkpointEverySteps: 5 }),
  );

const initial = (): ShardSeed => ({
  step: 0,
  values: normals(110, randomOf('initial')),
  firstMoments: new Float32Array(110),
  secondMoments: new Float32Array(110),
});

/** Each slice pulls the parameters towards a target of its own, so that every gradient depends on every step before. */
const gradientOf = (values: Float32Array, slice: number): Float32Array =>
  values.map((value, i) => value - Math.sin(i + slice));
const targetOf = (numSlices: number, i: number): number =>
  Array.from({ length: numSlices }, (_, slice) => (slice + 1) * Math.sin(i + slice)).reduce((a, b) => a + b) /
  ((numSlices * (numSlices + 1)) / 2);

async function replica(
  client: ParameterClient,
  slice: number,
  numSteps = NUM_STEPS,
  learningRate = 0.05,
): Promise<void> {
  await client.status();
  for (let step = 0; step < numSteps; step++) {
    const { version, values } = await client.pull({ step });
    const push: Push = { slice, step, version, weight: slice + 1, learningRate, gradient: gradientOf(values, slice) };
    await client.push(push);
  }
}

function sequential(numSlices: number, numSteps = NUM_STEPS): ShardSeed {
  const state = initial();
  const update = createOptimizer(OPTIMIZER, decayRangesOf(LAYOUT, { start: 0, end: 110 }), 110);
  for (; state.step < numSteps; state.step++) {
    const gradients = Array.from({ length: numSlices }, (_, slice) => gradientOf(state.values, slice));
    const mean = state.values.map(
      (_, i) =>
        gradients.reduce((sum, gradient, slice) => sum + (slice + 1) * gradient[i]!, 0) /
        ((numSlices * (numSlices + 1)) / 2),
    );
    update(state, mean, { learningRate: 0.05, numUpdates: state.step });
  }
  return state;
}

describe('LocalShards', () => {
  it.each([
    [1, 1],
    [1, 4],
    [3, 2],
    [7, 3],
  ])('with %d shards and %d replicas ends as one process does, bit for bit', async (numShards, numSlices) => {
    const parameters = parametersOf(numShards, numSlices);
    const lead = parameters.connect();
    await lead.seed(initial());
    await Promise.all(Array.from({ length: numSlices }, (_, slice) => replica(parameters.connect(), slice)));
    expect(await lead.snapshot(NUM_STEPS)).toEqual(sequential(numSlices));
    expect(await lead.snapshot(10)).toEqual(sequential(numSlices, 10));
  });

  it('is the same for one replica whichever the consistency', async () => {
    for (const consistency of [
      { kind: 'immediate' },
      { kind: 'clocked', staleness: 3, backups: 0 },
    ] satisfies Consistency[]) {
      const client = parametersOf(2, 1, consistency).connect();
      await client.seed(initial());
      await replica(client, 0);
      expect(await client.snapshot(NUM_STEPS)).toEqual(sequential(1));
    }
  });

  it('ends every earlier incarnation with a new seed, and takes its clients up again', async () => {
    const parameters = parametersOf(2, 2);
    const [lead, other] = [parameters.connect(), parameters.connect()];
    await expect(other.pull({ step: 0 })).rejects.toMatchObject({ code: 'conflict' });
    await lead.seed(initial());
    await other.status();
    const waiting = other.pull({ step: 1 });
    const refused = expect(waiting).rejects.toMatchObject({ code: 'conflict' });
    await lead.seed({ ...initial(), step: 30 });
    await refused;
    await expect(other.pull({ step: 30 })).rejects.toMatchObject({ code: 'conflict' });
    expect((await other.status()).map(({ incarnation }) => incarnation)).toEqual([2, 2]);
    expect((await other.pull({ step: 30 })).version).toBe(30);
    await other.close();
    await expect(other.pull({ step: 30 })).rejects.toMatchObject({ code: 'cancelled' });
  });

  it.each([{ kind: 'topK', share: 0.1 }, { kind: 'oneBit' }, { kind: 'fp16' }] as const)(
    'still comes to rest at the optimum when gradients travel as $kind',
    async (compression) => {
      const sgd = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const;
      const configs = shardConfigsOf(LAYOUT, 2, {
        numSlices: 2,
        consistency: SYNC,
        optimizer: sgd,
        checkpointEverySteps: 100,
      });
      const parameters = new LocalShards(LAYOUT, configs);
      const encodersOf = (): LocalEncoders => {
        const encoders = configs.map(({ range }) => createEncoder(compression, range.end - range.start));
        return {
          encode: ({ gradient }) =>
            encoders.map((encoder, i) => {
              const { start, end } = configs[i]!.range;
              return { encoding: encoder.encoding, bytes: encoder.encode(gradient.subarray(start, end)) };
            }),
        };
      };
      const lead = parameters.connect();
      await lead.seed(initial());
      const clients = [0, 1].map(() => parameters.connect({ encoders: encodersOf() }));
      await Promise.all(clients.map((client, slice) => replica(client, slice, 800, 0.02)));
      const { values } = await lead.snapshot(800);
      values.forEach((value, i) => expect(Math.abs(value - targetOf(2, i))).toBeLessThan(0.1));
      expect(clients[0]!.traffic().sentBytes).toBeLessThan(800 * 440 * 0.6);
    },
  );
});
