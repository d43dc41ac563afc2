import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createOptimizer } from '../../../lib/sync/optimizer.ts';
import { ParameterShard } from '../../../lib/sync/parameter-shard.ts';
import type { Consistency, Push, ShardConfig, ShardSeed } from '../../../lib/sync/protocol.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';

const LENGTH = 21;
const NUM_STEPS = 6;
const SYNC: Consistency = { kind: 'clocked', staleness: 0, backups: 0 };
const OPTIMIZERS = ['sgd', 'adam', 'adagrad'] as const;

function configOf(numSlices: number, consistency: Consistency, more: Partial<ShardConfig> = {}): ShardConfig {
  return {
    range: { start: 32, end: 32 + LENGTH },
    numSlices,
    consistency,
    optimizer: { kind: 'adam', momentum: 0.9, weightDecay: 0.01 },
    decayRanges: [{ start: 3, end: 11 }],
    checkpointEverySteps: 2,
    ...more,
  };
}

function seedOf(step = 0): ShardSeed {
  return {
    step,
    values: normals(LENGTH, randomOf('values')),
    firstMoments: new Float32Array(LENGTH),
    secondMoments: new Float32Array(LENGTH),
  };
}

function seeded(config: ShardConfig, seed = seedOf()): ShardSeed & { shard: ParameterShard } {
  const shard = new ParameterShard(config);
  shard.seed(seed);
  return { shard, ...seed };
}

function pushOf(slice: number, step: number, version = step, more: Partial<Push> = {}): Push {
  return {
    slice,
    step,
    version,
    weight: 3 + slice,
    learningRate: 0.1 / (1 + step),
    gradient: normals(LENGTH, randomOf('gradient', slice, step)),
    ...more,
  };
}

/** Textbook order: for each step the weighted mean over the slices, in order, then one update. */
function sequential(config: ShardConfig, steps: readonly (readonly Push[])[], seed = seedOf()): ShardSeed {
  const update = createOptimizer(config.optimizer, config.decayRanges, LENGTH);
  const state = structuredClone(seed);
  for (const pushes of steps) {
    const total = pushes.reduce((sum, { weight }) => sum + weight, 0);
    const mean = Float32Array.from(
      { length: LENGTH },
      (_, i) => pushes.reduce((sum, { weight, gradient }) => sum + weight * gradient[i]!, 0) / total,
    );
    update(state, mean, { learningRate: pushes[0]!.learningRate, numUpdates: state.step });
    state.step++;
  }
  return state;
}

const allSteps = (numSlices: number, numSteps = NUM_STEPS): Push[][] =>
  Array.from({ length: numSteps }, (_, step) => Array.from({ length: numSlices }, (_, slice) => pushOf(slice, step)));

describe('ParameterShard, clocked', () => {
  it.each(OPTIMIZERS)(
    'ends as the plain sequential %s, bit for bit, in any order and with any duplicates',
    async (kind) => {
      const numSlices = 3;
      const config = configOf(numSlices, SYNC, { optimizer: { kind, momentum: 0.9, weightDecay: 0.01 } });
      const expected = sequential(config, allSteps(numSlices));
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat(), { minLength: 10, maxLength: 40 }), async (choices) => {
          const { shard } = seeded(config);
          let numDuplicates = 0;
          for (const [step, pushes] of allSteps(numSlices).entries()) {
            expect((await shard.pull({ step })).version).toBe(step);
            const left = [...pushes];
            for (let at = 0; left.length > 0; at++) {
              const choice = choices[(step + at) % choices.length]!;
              const [push] = left.splice(choice % left.length, 1);
              expect(shard.push(structuredClone(push!))).toBe('accepted');
              if (choice % 3 !== 0) continue;
              expect(shard.push(structuredClone(push!))).toBe('duplicate');
              numDuplicates++;
            }
          }
          expect(await shard.snapshot(NUM_STEPS)).toEqual(expected);
          expect(shard.statistics()).toMatchObject({ step: NUM_STEPS, numPushes: 18, numDuplicates, numDropped: 0 });
        }),
        { numRuns: 30 },
      );
    },
  );

  it('keeps every interleaving within the bound, and applies steps in order, as a small model says', async () => {
    const numSlices = 3;
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 3 }),
        fc.array(fc.nat(), { minLength: 20, maxLength: 60 }),
        async (staleness, picks) => {
          const config = configOf(numSlices, { kind: 'clocked', staleness, backups: 0 });
          const { shard } = seeded(config);
          const clocks = new Array<number>(numSlices).fill(0);
          const pushed: Push[][] = [];
          for (const pick of picks) {
            const slice = pick % numSlices;
            const step = clocks[slice]!;
            const applied = Math.min(...clocks);
            const controller = new AbortController();
            const pull = shard.pull({ step, signal: controller.signal }).catch(() => null);
            controller.abort();
            const pulled = await pull;
            expect(pulled === null).toBe(step - staleness > applied);
            if (pulled === null) continue;
            expect(pulled.version).toBe(applied);
            (pushed[step] ??= [])[slice] = pushOf(slice, step, pulled.version);
            shard.push(pushOf(slice, step, pulled.version));
            clocks[slice]!++;
          }
          const done = Math.min(...clocks);
          expect(await shard.snapshot(done)).toEqual(sequential(config, pushed.slice(0, done)));
          const { staleness: histogram, nextStepBySlice } = shard.statistics();
          expect(histogram).toHaveLength(staleness + 1);
          expect(histogram.reduce((a, b) => a + b)).toBe(done * numSlices);
          expect(nextStepBySlice).toEqual(clocks);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('lets whoever is early wait, and answers as soon as the bound allows', async () => {
    const { shard } = seeded(configOf(2, { kind: 'clocked', staleness: 1, backups: 0 }));
    shard.push(pushOf(0, 0));
    expect((await shard.pull({ step: 1 })).version).toBe(0);
    shard.push(pushOf(0, 1, 0));
    let answered = false;
    const early = shard.pull({ step: 2 }).then((pulled) => ((answered = true), pulled));
    await Promise.resolve();
    expect(answered).toBe(false);
    shard.push(pushOf(1, 0));
    expect((await early).version).toBe(1);
    shard.push(pushOf(1, 1, 1));
    expect(shard.statistics()).toMatchObject({ step: 2, staleness: [3, 1] });
  });

  it('applies a step without the slowest, drops and counts them once, and takes them again later', async () => {
    const config = configOf(3, { kind: 'clocked', staleness: 0, backups: 1 });
    const { shard } = seeded(config);
    expect(shard.push(pushOf(2, 0))).toBe('accepted');
    expect(shard.push(pushOf(0, 0))).toBe('accepted');
    expect(shard.push(pushOf(1, 0))).toBe('dropped');
    expect(shard.push(pushOf(1, 0))).toBe('dropped');
    expect(shard.push(pushOf(2, 0))).toBe('duplicate');
    expect(shard.push(pushOf(1, 1))).toBe('accepted');
    expect(shard.push(pushOf(2, 1))).toBe('accepted');
    expect(await shard.snapshot(2)).toEqual(
      sequential(config, [
        [pushOf(0, 0), pushOf(2, 0)],
        [pushOf(1, 1), pushOf(2, 1)],
      ]),
    );
    expect(shard.statistics()).toMatchObject({ numPushes: 4, numDuplicates: 1, numDropped: 1 });
  });

  it('hands a slice that starts again the values it computed from, also after its step was applied', async () => {
    const { shard, values } = seeded(configOf(1, SYNC));
    shard.push(pushOf(0, 0));
    expect(await shard.pull({ step: 0 })).toEqual({ version: 0, values });
    expect((await shard.pull({ step: 1 })).version).toBe(1);
  });

  it('hands a slice that others went on without the newest values, so that its next push is in time', async () => {
    const { shard } = seeded(configOf(2, { kind: 'clocked', staleness: 0, backups: 1 }));
    shard.push(pushOf(0, 0));
    expect((await shard.pull({ step: 0 })).version).toBe(1);
    expect(shard.push(pushOf(1, 1))).toBe('accepted');
  });

  it('goes on from a snapshot as if nothing had happened', async () => {
    const config = configOf(2, SYNC);
    const steps = allSteps(2);
    const { shard } = seeded(config, sequential(config, steps.slice(0, 3)));
    for (const push of steps.slice(3).flat()) shard.push(push);
    expect(await shard.snapshot(NUM_STEPS)).toEqual(sequential(config, steps));
  });

  it('keeps the state of the last checkpoint step until the next, and makes who asks early wait', async () => {
    const config = configOf(1, SYNC);
    const { shard } = seeded(config);
    const early = shard.snapshot(4);
    const steps = allSteps(1);
    for (const push of steps.slice(0, 5).flat()) shard.push(push);
    expect(await early).toEqual(sequential(config, steps.slice(0, 4)));
    expect(await shard.snapshot(4)).toEqual(sequential(config, steps.slice(0, 4)));
    expect((await shard.snapshot(5)).step).toBe(5);
    await expect(shard.snapshot(2)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('never writes to what it handed out', async () => {
    const { shard, values } = seeded(configOf(1, SYNC));
    const pulled = await shard.pull({ step: 0 });
    const kept = await shard.snapshot(0);
    shard.push(pushOf(0, 0));
    expect(pulled.values).toEqual(values);
    expect(kept.values).toEqual(values);
  });
});

describe('ParameterShard, immediate', () => {
  it.each(OPTIMIZERS)('with one slice ends as the plain sequential %s, bit for bit', async (kind) => {
    const config = configOf(1, { kind: 'immediate' }, { optimizer: { kind, momentum: 0.5, weightDecay: 0.1 } });
    const { shard } = seeded(config);
    for (const [push] of allSteps(1)) {
      shard.push(structuredClone(push!));
      expect(shard.push(push!)).toBe('duplicate');
    }
    expect(await shard.snapshot(NUM_STEPS)).toEqual(sequential(config, allSteps(1)));
  });

  it('applies pushes as they come and says how stale they were', async () => {
    const config = configOf(2, { kind: 'immediate' });
    const { shard } = seeded(config);
    const pushes = [pushOf(0, 0, 0), pushOf(0, 1, 1), pushOf(1, 0, 0), pushOf(0, 2, 2)];
    for (const push of pushes) expect(shard.push(push)).toBe('accepted');
    const { staleness, ...counts } = shard.statistics();
    expect(staleness.slice(0, 4)).toEqual([2, 1, 1, 0]);
    expect(counts).toEqual({ step: 4, numPushes: 4, numDuplicates: 0, numDropped: 0, nextStepBySlice: [3, 1] });
    expect((await shard.pull({ step: 99 })).version).toBe(4);
    expect(await shard.snapshot(4)).toEqual(
      sequential(
        config,
        pushes.map((push) => [push]),
      ),
    );
  });
});

describe('ParameterShard', () => {
  it.each<[string, Partial<Push>, string]>([
    ['another length', { gradient: new Float32Array(LENGTH + 1) }, 'dimensionMismatch'],
    ['NaN', { gradient: new Float32Array(LENGTH).fill(NaN, 5, 6) }, 'nonFinite'],
    ['infinity', { gradient: new Float32Array(LENGTH).fill(-Infinity, 20) }, 'nonFinite'],
    ['a step to come', { step: 2 }, 'conflict'],
    ['a version to come', { step: 1, version: 1 }, 'conflict'],
    ['no such slice', { slice: 2 }, 'invalidInput'],
    ['no weight', { weight: 0 }, 'invalidInput'],
    ['a broken step', { step: 0.5 }, 'invalidInput'],
    ['an infinite learning rate', { learningRate: Infinity }, 'invalidInput'],
  ])('refuses %s and stays as it was', async (_, wrong, code) => {
    const { shard, values } = seeded(configOf(2, { kind: 'clocked', staleness: 1, backups: 0 }));
    const before = shard.statistics();
    expect(() => shard.push(pushOf(0, 0, 0, wrong))).toThrow(expect.objectContaining({ code }));
    expect(shard.statistics()).toEqual(before);
    expect((await shard.pull({ step: 0 })).values).toEqual(values);
  });

  it('refuses a learning rate that differs within a step', () => {
    const { shard } = seeded(configOf(2, SYNC));
    shard.push(pushOf(0, 0));
    expect(() => shard.push(pushOf(1, 0, 0, { learningRate: 7 }))).toThrow(
      expect.objectContaining({ code: 'invalidInput' }),
    );
    expect(shard.push(pushOf(1, 0))).toBe('accepted');
  });

  it('has nothing to give or take before it is seeded', async () => {
    const shard = new ParameterShard(configOf(1, SYNC));
    expect(shard.isSeeded).toBe(false);
    expect(() => shard.push(pushOf(0, 0))).toThrow(expect.objectContaining({ code: 'conflict' }));
    await expect(shard.pull({ step: 0 })).rejects.toMatchObject({ code: 'conflict' });
    await expect(shard.snapshot(0)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('refuses a seed that does not fit, and a good one ends every wait', async () => {
    const { shard } = seeded(configOf(2, SYNC));
    const waiting = [shard.pull({ step: 1 }), shard.snapshot(2)];
    const outcomes = Promise.allSettled(waiting);
    expect(() => shard.seed({ ...seedOf(), values: new Float32Array(1) })).toThrow(
      expect.objectContaining({ code: 'dimensionMismatch' }),
    );
    shard.seed(seedOf(40));
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { code: 'conflict' } });
    expect((await shard.pull({ step: 40 })).version).toBe(40);
  });

  it('lets go of a wait that is cancelled', async () => {
    const { shard } = seeded(configOf(1, SYNC));
    const controller = new AbortController();
    const pull = shard.pull({ step: 1, signal: controller.signal });
    controller.abort();
    await expect(pull).rejects.toMatchObject({ code: 'cancelled' });
    await expect(shard.pull({ step: 1, signal: controller.signal })).rejects.toMatchObject({ code: 'cancelled' });
  });

  it.each<Partial<ShardConfig>>([
    { numSlices: 0 },
    { range: { start: 4, end: 4 } },
    { checkpointEverySteps: 0 },
    { consistency: { kind: 'clocked', staleness: 0, backups: 2 } },
    { consistency: { kind: 'clocked', staleness: -1, backups: 0 } },
    { decayRanges: [{ start: 0, end: LENGTH + 1 }] },
  ])('refuses to be made of %j', (wrong) => {
    expect(() => new ParameterShard(configOf(2, SYNC, wrong))).toThrow(
      expect.objectContaining({ code: 'invalidInput' }),
    );
  });
});
