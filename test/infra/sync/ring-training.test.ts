import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { headLayout, planOf } from '../../../lib/train/data-parallel-plan.ts';
import { HeadProgram } from '../../../lib/train/head-program.ts';
import type { TrainedHead } from '../../../lib/train/head-program.ts';
import { LocalRing } from '../../lib/sync/local-ring.ts';
import { Killed, bytesOf, data, distance, oneWorker, parallel, run, trainOver } from '../../lib/train/local-run.ts';
import { SocketRings } from './socket-rings.ts';

const CONFIG = parallel({ replicas: 3, exchange: { kind: 'allReduce', bucketBytes: 512 } });

/** Over sockets; `kills` as in memory. */
async function overSockets(kills: { rank: number; step: number }[] = [], config = CONFIG): Promise<TrainedHead> {
  const plan = planOf(config);
  const sockets = await SocketRings.open(plan.numSlices);
  onTestFinished(() => sockets.close());
  const { shape } = new HeadProgram(tf, data, config);
  const pending = [...kills];
  const head = await trainOver(new LocalRing(headLayout(config, shape), plan, 'none', sockets), config, {
    onStep(rank, { step }) {
      if (pending[0]?.rank !== rank || pending[0].step !== step) return;
      pending.shift();
      throw new Killed();
    },
  });
  expect(pending).toEqual([]);
  return head;
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('training over a ring of sockets', () => {
  it('learns what parameter shards and a single worker learn: equal recalls, kernels within 1e-4', async () => {
    const head = await overSockets();
    const single = oneWorker(CONFIG);
    const server = bytesOf(await run(parallel({ replicas: 3 })));
    expect(server).toEqual(single);
    expect(head.recallByEpoch).toEqual(single.recallByEpoch);
    expect(head.bestEpoch).toBe(single.bestEpoch);
    expect(distance(head, single)).toBeLessThan(1e-4);
  });

  it('of two replicas whose slices have a power of two rows ends in the bits of both', async () => {
    const config = parallel({ replicas: 2, exchange: CONFIG.dataParallel!.exchange }, { labelsPerBatch: 4 });
    expect(await overSockets([], config)).toEqual(oneWorker(config));
  });

  it('ends in the same bytes when a rank, and then the lead, are killed', async () => {
    const whole = await overSockets();
    const killed = await overSockets([
      { rank: 2, step: 6 },
      { rank: 0, step: 13 },
    ]);
    expect(killed).toEqual(whole);
  });
});
