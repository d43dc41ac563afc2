import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FIRST_STAGE } from '../../../contracts/data-parallel.ts';
import type { StagePartProgress } from '../../../contracts/model-parallel.ts';
import type { ModelParallelConfig, TrainConfig } from '../../../contracts/training.ts';
import { runStagePart } from '../../../infra/training/run-stage-part.ts';
import { runTraining } from '../../../infra/training/run-training.ts';
import { headVectors } from './head-vectors.ts';
import { expectEndured, open, orphans } from './endure.ts';
import { ENTRIES, trainSpread } from './spread.ts';
import { TRAIN, isAlive, trainersOf } from './workshop.ts';

/** Two stages of which the last one shares its classifier with another process. */
const CUT: ModelParallelConfig = { stages: 2, cut: 'auto', microBatches: 3, schedule: '1f1b', classifierParts: 2 };
const cut = (change: Partial<TrainConfig> = {}, parts: Partial<ModelParallelConfig> = {}): TrainConfig => ({
  ...TRAIN,
  strategy: 'modelParallel',
  modelParallel: { ...CUT, ...parts },
  checkpointEverySteps: 50,
  ...change,
});
/** Of the vectors that two heads make of the same features; sums in float32 are taken in another order. */
const TOLERANCE = 1e-4;

/** What the kernel lets a process allocate for itself, and what it has (RLIMIT_DATA). */
function dataOf(pid: number): { limit: number; used: number } {
  const read = (file: string, row: RegExp): number =>
    Number(row.exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1] ?? NaN);
  return {
    limit: read('limits', /^Max data size +(\d+)/m),
    used: 1024 * read('status', /^VmData:\s+(\d+) kB$/m),
  };
}

describe('a model cut over processes', () => {
  it.each<[Partial<ModelParallelConfig>, Partial<TrainConfig>]>([
    [{}, {}],
    [
      { stages: 4, classifierParts: 1, schedule: 'gpipe' },
      { hidden: [16, 8], loss: { kind: 'supCon', temperature: 0.2 } },
    ],
    [
      { stages: 3, classifierParts: 3 },
      { hidden: [16], patience: 3, epochs: 12 },
    ],
  ])(
    'makes the model that one process makes: %j %j',
    async (parts, change) => {
      const config = cut(change, parts);
      const { modelParallel: _, ...own } = config;
      const alone = await open({ ...own, strategy: 'single' });
      const expected = await runTraining({ config: alone.config, input: alone.input });

      const workshop = await open(config);
      const told = new Map<number, StagePartProgress>();
      const output = await trainSpread(workshop, { onPart: (progress) => told.set(progress.index, progress) });
      expect(output).toMatchObject({ reused: false, metrics: expected.metrics });
      const [made, whole] = await Promise.all([
        headVectors(workshop, output.model),
        headVectors(alone, expected.model),
      ]);
      expect(whole.length).toBeGreaterThan(50);
      made.forEach((value, i) => expect(Math.abs(value - whole[i]!)).toBeLessThan(TOLERANCE));

      const { stages, classifierParts } = config.modelParallel!;
      expect([...told.keys()].sort()).toEqual(Array.from({ length: stages + classifierParts - 1 }, (_, i) => i));
      // The lead's last frame may have been too soon after the one before.
      const steps = [...told.values()].filter(({ index }) => index > 0).map(({ step }) => step);
      expect(new Set(steps).size).toBe(1);
      for (const progress of told.values()) {
        expect(progress.step).toBeGreaterThan(0);
        expect(progress.bytesPerStep).toBeGreaterThan(0);
        expect(progress.holds).not.toBe('');
      }
      expect(orphans()).toEqual([]);
    },
    120_000,
  );

  it('ends in the same bytes whichever parts are killed or frozen, and leaves no process', async () => {
    const { workshop, output } = await expectEndured(cut({ epochs: 300 }), [
      { at: 60, role: 'stage', index: 1, by: 'SIGKILL' },
      { at: 160, role: 'stage', index: 0, by: 'SIGKILL' },
      { at: 260, role: 'stage', index: 2, by: 'SIGKILL' },
      { at: 360, role: 'stage', index: 1, by: 'SIGSTOP' },
      { at: 460, role: 'stage', index: 2, by: 'SIGSTOP' },
    ]);
    const { config, input } = workshop;
    const again = { run: 'test/again', stage: FIRST_STAGE, train: input };
    expect(await runStagePart({ config, input: { ...again, index: 1 } })).toBeNull();
    const found = await runStagePart({ config, input: { ...again, index: 0 } });
    expect(found).toEqual({ output: { ...output, reused: true }, next: null });
  }, 240_000);

  it('goes through both stages where items are withheld to judge by', async () => {
    const workshop = await open(cut({ epochs: 4, patience: 2 }), false);
    const { model } = await trainSpread(workshop);
    const { artifacts } = workshop.stores;
    const { inputs, metrics } = (await artifacts.get(model)).manifest;
    const judged = (await artifacts.get(inputs['judged']!)).manifest;
    expect(metrics['numPictures']).toBe(24);
    expect(metrics['numEpochs']).toBe((judged.metrics['bestEpoch'] as number) + 1);
  }, 120_000);

  it('leaves no process after it was called off', async () => {
    const abort = new AbortController();
    const workshop = await open(cut({ epochs: 100_000 }));
    const pids: number[] = [];
    const run = trainSpread(workshop, {
      signal: abort.signal,
      onStep(step, parts) {
        if (step < 10 || abort.signal.aborted) return;
        pids.push(...parts.map(({ pid }) => pid));
        abort.abort();
      },
    });
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(pids).toHaveLength(3);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(orphans()).toEqual([]);
  }, 60_000);

  it('is refused to whoever holds another secret', async () => {
    const { config, input: train } = await open(cut());
    const own = { run: 'test/stranger', stage: FIRST_STAGE, train };
    const stranger = { ...config, dataPlane: { ...config.dataPlane, token: 'a secret of somebody else' } };
    const abort = new AbortController();
    const parts = [config, config, stranger].map((of, index) =>
      runStagePart({ config: of, input: { ...own, index }, signal: abort.signal }),
    );
    const ends = Promise.allSettled(parts);
    await expect(Promise.race(parts)).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('LOOKALIKE_DATA_PLANE_TOKEN') as string,
    });
    abort.abort();
    for (const end of await ends) expect(end.status).toBe('rejected');
    expect(orphans()).toEqual([]);
  }, 60_000);

  it('ends at once, with the reason, where an update would spoil it', async () => {
    const optimizer = { kind: 'sgd', learningRate: 1e39, weightDecay: 0, momentum: 0.9 } as const;
    const lost: string[] = [];
    const run = trainSpread(await open(cut({ optimizer })), { onLost: (_, code) => lost.push(code) });
    await expect(run).rejects.toMatchObject({ code: 'nonFinite' });
    expect(lost).toEqual([]);
    expect(orphans()).toEqual([]);
  }, 60_000);

  it.runIf(process.platform === 'linux')(
    'is held by the kernel to what each part may allocate',
    async () => {
      const mayAllocate = 400e6;
      const abort = new AbortController();
      const workshop = await open(cut({ epochs: 100_000 }, { maxBytesPerStage: mayAllocate }));
      const held: { limit: number; used: number }[] = [];
      const run = trainSpread(workshop, {
        signal: abort.signal,
        onStep(step, parts) {
          if (step === 0 || abort.signal.aborted) return;
          held.push(...parts.map(({ pid }) => dataOf(pid)));
          abort.abort();
        },
      });
      await expect(run).rejects.toMatchObject({ code: 'cancelled' });
      expect(held).toHaveLength(3);
      for (const { limit, used } of held) {
        expect(used).toBeLessThan(limit);
        // Some was used since the limit was set, none of what was there before given back.
        expect(limit).toBeLessThan(used + 1.05 * mayAllocate);
      }
    },
    60_000,
  );

  it('is refused in words where a part cannot fit into what it may allocate', async () => {
    const { config, input: train } = await open(cut({ hidden: [4096, 4096] }, { maxBytesPerStage: 64e6 }));
    const own = { run: 'test/narrow', stage: FIRST_STAGE, train };
    await expect(runStagePart({ config, input: { ...own, index: 1 } })).rejects.toMatchObject({
      code: 'invalidInput',
      message: expect.stringMatching(/to fit into 64.0 MB; stage \d .* needs .* Use more stages/) as string,
    });
  }, 60_000);

  it('gives way to a part that was started again in its place', async () => {
    const { config, input: train, stores } = await open(cut());
    const run = 'test/superseded';
    const part = runStagePart({ config, input: { run, stage: FIRST_STAGE, train, index: 1 }, attempt: 1 });
    const ended = expect(part).rejects.toMatchObject({ code: 'unavailable' });
    const { training } = stores.registry;
    await expect.poll(() => training.shards(run), { timeout: 30_000 }).toHaveLength(1);
    const [{ url } = { url: '' }] = await training.shards(run);
    await training.announceShard({ run, shard: 1, url, attempt: 2 });
    await ended;
    expect(trainersOf(process.pid, ENTRIES.stage)).toEqual([]);
  }, 60_000);
});
