import { describe, expect, it } from 'vitest';
import { createLayout, decayRangesOf } from '../../../lib/sync/layout.ts';
import { createOptimizer } from '../../../lib/sync/optimizer.ts';
import type { ParameterClient, ShardSeed } from '../../../lib/sync/protocol.ts';
import { RingMember } from '../../../lib/sync/ring-member.ts';
import type { RingMemberOptions } from '../../../lib/sync/ring-member.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { MemoryRing } from './memory-ring.ts';

const LENGTH = 110;
const LAYOUT = createLayout([
  { name: 'kernel', length: 100, decays: true },
  { name: 'bias', length: 10, decays: false },
]);
const OPTIMIZER = { kind: 'adam', momentum: 0.9, weightDecay: 0.02 } as const;
const DECAY = decayRangesOf(LAYOUT, { start: 0, end: LENGTH });
const NUM_STEPS = 15;

const memberOf = (size: number, more: Partial<RingMemberOptions> = {}): RingMember =>
  new RingMember({
    layout: LAYOUT,
    shard: {
      numSlices: size,
      consistency: { kind: 'clocked', staleness: 0, backups: 0 },
      optimizer: OPTIMIZER,
      checkpointEverySteps: 5,
    },
    decayRanges: DECAY,
    encoding: 'none',
    bucketBytes: 128,
    now: () => 0,
    ...more,
  });
const membersOf = (size: number, more: Partial<RingMemberOptions> = {}): RingMember[] =>
  Array.from({ length: size }, () => memberOf(size, more));

const initial = (step = 0): ShardSeed => ({
  step,
  values: normals(LENGTH, randomOf('initial')),
  firstMoments: new Float32Array(LENGTH),
  secondMoments: new Float32Array(LENGTH),
});
const gradientOf = (values: Float32Array, rank: number): Float32Array =>
  values.map((value, i) => value - Math.sin(i + rank));

/** From wherever the member is; stops, as if killed, before pushing `stopAt`. */
async function train(client: ParameterClient, rank: number, stopAt = NUM_STEPS): Promise<void> {
  const [{ statistics }] = (await client.status()) as [Awaited<ReturnType<ParameterClient['status']>>[number]];
  for (let step = statistics.nextStepBySlice[rank]!; step < stopAt; step++) {
    const { version, values } = await client.pull({ step });
    const gradient = gradientOf(values, rank);
    await client.push({ slice: rank, step, version, weight: rank + 1, learningRate: 0.05, gradient });
  }
}

async function run(members: RingMember[], seed: ShardSeed | null): Promise<ShardSeed[]> {
  const memory = new MemoryRing(members.length);
  return Promise.all(
    members.map(async (member, rank) => {
      const client = await startedOf(member, memory, rank, seed);
      await train(client, rank);
      const state = await client.snapshot(NUM_STEPS);
      await client.close();
      return state;
    }),
  );
}

/** The lead seeds where `seed` is given. */
async function startedOf(
  member: RingMember,
  memory: MemoryRing,
  rank: number,
  seed: ShardSeed | null,
): Promise<ParameterClient> {
  const client = await member.connect(memory.peers[rank]!);
  if (rank === 0 && seed !== null) await client.seed(seed);
  return client;
}

function sequential(size: number): ShardSeed {
  const state = initial();
  const update = createOptimizer(OPTIMIZER, DECAY, LENGTH);
  for (; state.step < NUM_STEPS; state.step++) {
    const mean = new Float32Array(LENGTH).map(
      (_, i) =>
        Array.from({ length: size }, (_, rank) => (rank + 1) * gradientOf(state.values, rank)[i]!).reduce(
          (a, b) => a + b,
        ) /
        ((size * (size + 1)) / 2),
    );
    update(state, mean, { learningRate: 0.05, numUpdates: state.step });
  }
  return state;
}

describe('RingMember', () => {
  it.each([1, 2, 3, 5])(
    'with %d ranks ends as one process does, within rounding, and with the same bytes everywhere',
    async (size) => {
      const states = await run(membersOf(size), initial());
      for (const state of states) expect(state).toEqual(states[0]);
      const expected = sequential(size);
      // The mean is rounded to float32 a few times on its way; Adam's division carries that into the values.
      states[0]!.values.forEach((value, i) => expect(Math.abs(value - expected.values[i]!)).toBeLessThan(2e-6));
    },
  );

  it('halves the bytes of gradients as fp16 and still goes the same way', async () => {
    const bytes: number[] = [];
    const expected = sequential(3).values;
    for (const encoding of ['none', 'fp16'] as const) {
      const members = membersOf(3, { encoding, bucketBytes: 1024 });
      const memory = new MemoryRing(3);
      const clients = await Promise.all(members.map((member, rank) => startedOf(member, memory, rank, initial())));
      const before = clients[0]!.traffic().sentBytes;
      await Promise.all(clients.map((client, rank) => train(client, rank)));
      bytes.push(clients[0]!.traffic().sentBytes - before);
      const { values } = await clients[0]!.snapshot(NUM_STEPS);
      values.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(0.02));
    }
    const gradientBytes = ((NUM_STEPS * 2 * 2) / 3) * LENGTH * 4;
    expect(bytes[0]! - bytes[1]!).toBeGreaterThan(0.4 * gradientBytes);
  });

  it.each([
    ['a rank that comes back without memory', 2],
    ['a rank that keeps its memory', null],
  ])(
    'goes on after %s, redoes at most the step it was at, and ends in the uninterrupted bytes',
    async (_, forgotten) => {
      const whole = await run(membersOf(3), initial());
      const members = membersOf(3);
      const memory = new MemoryRing(3);
      const outcomes = await Promise.allSettled(
        members.map(async (member, rank) => {
          const client = await startedOf(member, memory, rank, initial());
          await train(client, rank, rank === 2 ? 7 : NUM_STEPS);
          if (rank === 2) memory.kill(2);
        }),
      );
      for (const outcome of outcomes.slice(0, 2)) expect(outcome).toMatchObject({ reason: { code: 'unavailable' } });
      if (forgotten !== null) members[forgotten] = memberOf(3);
      const again = new MemoryRing(3);
      const clients = await Promise.all(members.map((member, rank) => startedOf(member, again, rank, null)));
      for (const client of clients) expect((await client.status())[0]!.statistics.step).toBe(7);
      await Promise.all(clients.map((client, rank) => train(client, rank)));
      for (const client of clients) expect(await client.snapshot(NUM_STEPS)).toEqual(whole[0]);
    },
  );

  it('takes the seed of a lead that has lost everything, also when the others have not', async () => {
    const members = membersOf(3);
    await run(members, initial());
    members[0] = memberOf(3);
    const states = await run(members, initial());
    expect(states).toEqual(await run(membersOf(3), initial()));
  });

  it('starts again from another state when the lead says so in between', async () => {
    const members = membersOf(2);
    const memory = new MemoryRing(2);
    const [lead, other] = await Promise.all(members.map((member, rank) => startedOf(member, memory, rank, initial())));
    const pushing = expect(train(other!, 1)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(lead!.seed(initial(9))).rejects.toMatchObject({ code: 'conflict' });
    await pushing;
    const again = new MemoryRing(2);
    const clients = await Promise.all(members.map((member, rank) => startedOf(member, again, rank, null)));
    for (const client of clients) {
      expect(await client.status()).toMatchObject([
        { incarnation: 3, statistics: { step: 9, nextStepBySlice: [9, 9] } },
      ]);
    }
  });

  it('says that it holds nothing before rank 0 has seeded', async () => {
    const client = await memberOf(1).connect(new MemoryRing(1).peers[0]!);
    expect(await client.status()).toMatchObject([{ incarnation: 0, statistics: { step: 0 } }]);
    await expect(client.pull({ step: 0 })).rejects.toMatchObject({ code: 'conflict' });
  });

  it('refuses what a ring cannot do', () => {
    const shard = {
      numSlices: 2,
      consistency: { kind: 'clocked', staleness: 2, backups: 0 },
      optimizer: OPTIMIZER,
      checkpointEverySteps: 5,
    } as const;
    expect(() => memberOf(2, { shard })).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });
});
