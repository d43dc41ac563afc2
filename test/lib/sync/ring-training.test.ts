import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RingPart } from '../../../lib/sync/ring.ts';
import { headLayout, planOf } from '../../../lib/train/data-parallel-plan.ts';
import { HeadProgram } from '../../../lib/train/head-program.ts';
import type { TrainedHead } from '../../../lib/train/head-program.ts';
import { Killed, data, distance, oneWorker, parallel, trainOver } from '../train/local-run.ts';
import { LocalRing } from './local-ring.ts';

const SIZE = 3;
const ringOf = (replicas: number) => parallel({ replicas, exchange: { kind: 'allReduce', bucketBytes: 512 } });
const CONFIG = ringOf(SIZE);

/** @param kills at which step a rank is killed, once; it starts again with nothing but the last checkpoint */
async function run(
  encoding: RingPart['encoding'],
  kills: { rank: number; step: number }[] = [],
  config = CONFIG,
): Promise<{ head: TrainedHead; numSteps: number[] }> {
  const { shape } = new HeadProgram(tf, data, config);
  const ring = new LocalRing(headLayout(config, shape), planOf(config), encoding);
  const pending = [...kills];
  const numSteps = new Array<number>(config.dataParallel!.replicas).fill(0);
  const head = await trainOver(ring, config, {
    onStep(rank, { step }) {
      numSteps[rank]!++;
      if (pending[0]?.rank !== rank || pending[0].step !== step) return;
      pending.shift();
      throw new Killed();
    },
  });
  expect(pending).toEqual([]);
  return { head, numSteps };
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('training over a ring', () => {
  it('learns what one worker doing all slices learns: equal recalls, kernels within 1e-4', async () => {
    const expected = oneWorker(CONFIG);
    const { head, numSteps } = await run('none');
    expect(head.recallByEpoch).toEqual(expected.recallByEpoch);
    expect(distance(head, expected)).toBeLessThan(1e-4);
    expect(new Set(numSteps).size).toBe(1);
  });

  it('of two replicas whose slices have a power of two rows ends in the bits of one worker', async () => {
    const config = { ...ringOf(2), labelsPerBatch: 4 };
    expect((await run('none', [], config)).head).toEqual(oneWorker(config));
  });

  it('ends in the same bytes when ranks are killed, and does no step again when it is not the lead', async () => {
    const whole = await run('none');
    const killed = await run('none', [
      { rank: 1, step: 7 },
      { rank: 2, step: 12 },
    ]);
    expect(killed.head).toEqual(whole.head);
    // A rank that applied the step before it heard of the kill has nothing to do again; others have that one step.
    killed.numSteps.forEach((count, rank) => expect(count - whole.numSteps[rank]!).toBeLessThanOrEqual(2));
  });

  it('ends in the same bytes when the lead is killed, having gone back to the last checkpoint', async () => {
    const whole = await run('fp16');
    const killed = await run('fp16', [{ rank: 0, step: 13 }]);
    expect(killed.head).toEqual(whole.head);
    expect(killed.numSteps[1]! - whole.numSteps[1]!).toBeLessThanOrEqual(CONFIG.checkpointEverySteps);
  });
});
