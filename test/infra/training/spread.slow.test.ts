import { describe, expect, it } from 'vitest';
import { FIRST_STAGE } from '../../../contracts/data-parallel.ts';
import type { DataParallelConfig, TrainConfig } from '../../../contracts/training.ts';
import { runParameterShard } from '../../../infra/training/run-parameter-shard.ts';
import { runReplica } from '../../../infra/training/run-replica.ts';
import { runTraining } from '../../../infra/training/run-training.ts';
import { expectEndured, open, orphans } from './endure.ts';
import { trainSpread } from './spread.ts';
import { TRAIN, isAlive, trainersOf } from './workshop.ts';

const SYNC: DataParallelConfig = {
  replicas: 2,
  exchange: { kind: 'parameterServer', shards: 2 },
  mode: { kind: 'sync', backups: 0 },
  compression: { kind: 'none' },
};
const spread = (change: Partial<TrainConfig> = {}): TrainConfig => ({
  ...TRAIN,
  strategy: 'dataParallel',
  dataParallel: SYNC,
  checkpointEverySteps: 50,
  ...change,
});

describe('a synchronous training spread over processes', () => {
  it('ends in the same bytes when replicas, the lead and a shard are killed or frozen, and leaves no process', async () => {
    const { workshop, output } = await expectEndured(spread({ epochs: 400 }), [
      { at: 60, role: 'replica', index: 1, by: 'SIGKILL' },
      { at: 160, role: 'parameters', index: 1, by: 'SIGKILL' },
      { at: 320, role: 'replica', index: 0, by: 'SIGKILL' },
      { at: 440, role: 'replica', index: 1, by: 'SIGSTOP' },
      { at: 560, role: 'parameters', index: 0, by: 'SIGSTOP' },
    ]);
    const { config, input } = workshop;
    const again = { run: 'test/again', stage: FIRST_STAGE, train: input };
    expect(await runReplica({ config, input: { ...again, rank: 1 } })).toBeNull();
    const found = await runReplica({ config, input: { ...again, rank: 0 } });
    expect(found).toEqual({ output: { ...output, reused: true }, next: null });
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 500);
    const idle = runParameterShard({ config, input: { ...again, shard: 0 }, signal: abort.signal });
    await expect(idle).rejects.toMatchObject({ code: 'cancelled' });
  }, 180_000);

  it('over a ring ends in the same bytes when replicas and the lead are killed or frozen, and leaves no process', async () => {
    const exchange = { kind: 'allReduce', bucketBytes: 4_096 } as const;
    await expectEndured(spread({ epochs: 300, dataParallel: { ...SYNC, replicas: 3, exchange }, labelsPerBatch: 6 }), [
      { at: 60, role: 'replica', index: 1, by: 'SIGKILL' },
      { at: 160, role: 'replica', index: 0, by: 'SIGKILL' },
      { at: 260, role: 'replica', index: 2, by: 'SIGSTOP' },
    ]);
  }, 180_000);

  it('goes through both stages where items are withheld to judge by', async () => {
    const workshop = await open(spread({ epochs: 4, patience: 2 }), false);
    const { model, metrics } = await trainSpread(workshop);
    const { artifacts } = workshop.stores;
    const { inputs, metrics: own } = (await artifacts.get(model)).manifest;
    const judged = (await artifacts.get(inputs['judged']!)).manifest;
    expect(own['numPictures']).toBe(24);
    expect(judged.metrics['numPictures']).toBe(24 - (judged.metrics['numQueries'] as number));
    expect(own['numEpochs']).toBe((judged.metrics['bestEpoch'] as number) + 1);
    expect(metrics['validationRecallAt1']).toBe(judged.metrics['validationRecallAt1']);
    expect(await trainSpread(workshop)).toEqual({ model, metrics, reused: true });
  }, 120_000);
});

describe('a lead whose followers have nothing to do any more', () => {
  it('ends with the model that an equal run has published meanwhile', async () => {
    const workshop = await open(spread());
    const { config, input: train } = workshop;
    const own = { run: 'test/alone', stage: FIRST_STAGE, train };
    const abort = new AbortController();
    const { signal } = abort;
    const shards = [0, 1].map((shard) => runParameterShard({ config, input: { ...own, shard }, signal }));
    const ended = Promise.allSettled(shards);
    const told = Promise.withResolvers<void>();
    const alone = runReplica({ config, input: { ...own, rank: 0 }, signal, onProgress: () => told.resolve() });
    await told.promise;
    const { model } = await trainSpread(workshop);
    expect((await alone)?.output).toMatchObject({ model, reused: true });
    abort.abort();
    await ended;
    expect(orphans()).toEqual([]);
  }, 120_000);
});

describe('a parameter shard', () => {
  it('ends once a later attempt is announced in its place', async () => {
    const { config, input: train, stores } = await open(spread());
    const run = 'test/superseded';
    const shard = runParameterShard({ config, input: { run, stage: FIRST_STAGE, train, shard: 0 }, attempt: 1 });
    const ended = expect(shard).rejects.toMatchObject({ code: 'conflict' });
    const { training } = stores.registry;
    await expect.poll(() => training.shards(run), { timeout: 30_000 }).toHaveLength(1);
    await training.announceShard({ run, shard: 0, url: 'tcp://127.0.0.1:9', attempt: 2 });
    await ended;
    expect(orphans()).toEqual([]);
  }, 60_000);
});

describe('a frozen process', () => {
  it('is killed, and reported so that another takes its place', async () => {
    const { config, input } = await open({ ...TRAIN, epochs: 100_000 });
    let frozen = 0;
    const run = runTraining({
      config,
      input,
      onProgress() {
        if (frozen !== 0) return;
        [frozen] = trainersOf(process.pid) as [number];
        process.kill(frozen, 'SIGSTOP');
      },
    });
    await expect(run).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('frozen') as string,
    });
    expect(isAlive(frozen)).toBe(false);
  });
});
