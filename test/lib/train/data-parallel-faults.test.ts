import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DataParallelConfig } from '../../../contracts/training.ts';
import type { TrainState } from '../../../lib/train/train-state.ts';
import type { LocalShards } from '../sync/local-shards.ts';
import { Killed, bytesOf, parallel, run } from './local-run.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('a synchronous run in which something dies', () => {
  const config = parallel({}, { epochs: 12 });

  it('ends in the bits of an uninterrupted one after resuming from any checkpoint, by other shards', async () => {
    const states: TrainState[] = [];
    const whole = bytesOf(await run(config, { onCheckpoint: (state) => void states.push(state) }));
    expect(states.map(({ step }) => step)).toEqual([5, 10, 15, 20]);
    const other = parallel({ exchange: { kind: 'parameterServer', shards: 4 } }, { epochs: 12 });
    for (const from of states) expect(bytesOf(await run(other, { from }))).toEqual(whole);
  });

  for (const rank of [0, 1]) {
    it(`ends in the same bits when replica ${rank} is killed after any step, and redoes at most one checkpoint interval`, async () => {
      const whole = bytesOf(await run(config));
      for (const at of [1, 2, 7, 8, 12, 15, 23]) {
        let isKilled = false;
        const taken: number[] = [];
        const { shards, ...head } = await run(config, {
          order: at,
          onStep: (who, { step }) => {
            if (who === 2) taken.push(step);
            if (isKilled || who !== rank || step !== at) return;
            isKilled = true;
            throw new Killed();
          },
        });
        expect(isKilled).toBe(true);
        expect(head).toEqual(whole);
        // Parameters of an epoch's end that the lead missed are trained again; another replica's death costs nothing.
        if (rank > 0) expect(shards.incarnation).toBe(1);
        expect(taken.length - new Set(taken).size).toBeLessThanOrEqual(rank > 0 ? 0 : config.checkpointEverySteps + 1);
      }
    });
  }

  it('ends in the same bits when a shard is lost, taught again from the last checkpoint', async () => {
    const whole = bytesOf(await run(config));
    for (const at of [1, 6, 16, 22]) {
      let isLost = false;
      const taken: number[] = [];
      const { shards, ...head } = await run(config, {
        order: at,
        onStep: (who, { step }, held) => {
          if (who === 2) taken.push(step);
          if (isLost || who !== 2 || step !== at) return;
          isLost = true;
          held.lose(1);
        },
      });
      expect(head).toEqual(whole);
      expect(shards.incarnation).toBe(2);
      expect(taken.length - new Set(taken).size).toBeLessThanOrEqual(config.checkpointEverySteps + 1);
    }
  });
});

describe('a replica whose steps are done', () => {
  it('goes on when a shard was lost and taught again before it looked', async () => {
    const config = parallel();
    const whole = bytesOf(await run(config));
    let held: LocalShards | undefined;
    const { shards, ...head } = await run(config, {
      onStep(rank, { step, numSteps }, all) {
        if (held !== undefined || rank !== 1 || step < numSteps) return;
        held = all;
        held.lose(0);
      },
      wrap: (client, rank) => ({
        ...client,
        async status(signal) {
          while (rank === 1 && held?.incarnation === 1) await new Promise((resolve) => setImmediate(resolve));
          return client.status(signal);
        },
      }),
    });
    expect(shards.incarnation).toBe(2);
    expect(head).toEqual(whole);
  });
});

describe('a run that is not synchronous', () => {
  it.each<DataParallelConfig['mode']>([
    { kind: 'async', pushEvery: 2, fetchEvery: 1 },
    { kind: 'ssp', staleness: 1 },
    { kind: 'sync', backups: 1 },
  ])('ends, and learns, when a shard is lost and the lead and a replica are killed: $kind', async (mode) => {
    let numFaults = 0;
    const { recall, recallByEpoch, shards } = await run(parallel({ mode }, { epochs: 40 }), {
      order: 8,
      onStep: (rank, { step }, held) => {
        if (numFaults > 2 || rank !== [1, 2, 0][numFaults] || step < 20 + 10 * numFaults) return;
        if (numFaults++ === 1) held.lose(0);
        else throw new Killed();
      },
    });
    expect(numFaults).toBe(3);
    expect(shards.incarnation).toBe(2);
    expect(recallByEpoch).toHaveLength(40);
    expect(recall).toBeGreaterThan(0.5);
  });
});
