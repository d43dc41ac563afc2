import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TrainConfig } from '../../../contracts/training.ts';
import { decayRangesOf } from '../../../lib/sync/layout.ts';
import type { ParameterClient } from '../../../lib/sync/protocol.ts';
import { RingMember } from '../../../lib/sync/ring-member.ts';
import type { RingPart, RingPeer } from '../../../lib/sync/ring.ts';
import { headLayout, planOf } from '../../../lib/train/data-parallel-plan.ts';
import { HeadProgram } from '../../../lib/train/head-program.ts';
import type { TrainedHead } from '../../../lib/train/head-program.ts';
import { Lead } from '../../../lib/train/lead.ts';
import { trainReplica } from '../../../lib/train/train-replica.ts';
import type { TrainState } from '../../../lib/train/train-state.ts';
import { data, oneWorker, parallel } from '../train/local-run.ts';
import { MemoryRing } from './memory-ring.ts';

const SIZE = 3;
const CONFIG = parallel({ replicas: SIZE, exchange: { kind: 'allReduce', bucketBytes: 512 } });

/** A new ring each time that every rank wants one. */
class Rendezvous {
  #ring = new MemoryRing(SIZE);
  #met = Promise.withResolvers<void>();
  #numWaiting = 0;

  async meet(rank: number): Promise<RingPeer> {
    const { promise } = this.#met;
    if (++this.#numWaiting === SIZE) {
      this.#ring = new MemoryRing(SIZE);
      this.#numWaiting = 0;
      this.#met.resolve();
      this.#met = Promise.withResolvers();
    }
    await promise;
    return this.#ring.peers[rank]!;
  }

  kill(rank: number): void {
    this.#ring.kill(rank);
  }
}

class Killed extends Error {}

/** @param kills at which step a rank is killed, once; it starts again with nothing but the last checkpoint */
async function run(
  config: TrainConfig,
  encoding: RingPart['encoding'],
  kills: { rank: number; step: number }[] = [],
): Promise<{ head: TrainedHead; numSteps: number[] }> {
  const plan = planOf(config);
  const program = new HeadProgram(tf, data, config);
  const layout = headLayout(config, program.shape);
  const rendezvous = new Rendezvous();
  const over = new AbortController();
  const pending = [...kills];
  const numSteps = new Array<number>(SIZE).fill(0);
  let durable: TrainState | undefined;

  async function replica(rank: number): Promise<TrainedHead | null> {
    for (;;) {
      const member = new RingMember({
        layout,
        shard: plan.shard,
        decayRanges: decayRangesOf(layout, { start: 0, end: layout.length }),
        encoding,
        bucketBytes: 512,
        now: () => 0,
      });
      const onCheckpoint = async (state: TrainState): Promise<void> => {
        durable = structuredClone(state);
      };
      const lead =
        rank === 0 ? new Lead({ program, plan, onCheckpoint, ...(durable && { from: durable }) }) : undefined;
      try {
        await trainReplica({
          program,
          plan,
          rank,
          ...(lead && { lead }),
          signal: over.signal,
          pause: async (_, signal) => {
            await new Promise(setImmediate);
            signal?.throwIfAborted();
          },
          connect: async (signal): Promise<ParameterClient> => member.connect(await rendezvous.meet(rank), signal),
          onStep: ({ step }) => {
            numSteps[rank]!++;
            if (pending[0]?.rank !== rank || pending[0].step !== step) return;
            pending.shift();
            rendezvous.kill(rank);
            throw new Killed();
          },
        });
        return lead?.finish() ?? null;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
      }
    }
  }

  const followers = Promise.allSettled([replica(1), replica(2)]);
  const head = (await replica(0))!;
  over.abort();
  for (const end of await followers) expect(end).toMatchObject({ reason: { code: 'cancelled' } });
  expect(pending).toEqual([]);
  return { head, numSteps };
}

function distance(a: TrainedHead, b: TrainedHead): number {
  return Math.hypot(...a.kernel.map((value, i) => value - b.kernel[i]!)) / Math.hypot(...b.kernel);
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('training over a ring', () => {
  it('learns what one worker doing all slices learns: equal recalls, kernels within 1e-4', async () => {
    const expected = oneWorker(CONFIG);
    const { head, numSteps } = await run(CONFIG, 'none');
    expect(head.recallByEpoch).toEqual(expected.recallByEpoch);
    expect(distance(head, expected)).toBeLessThan(1e-4);
    expect(new Set(numSteps).size).toBe(1);
  });

  it('ends in the same bytes when ranks are killed, and does no step again when it is not the lead', async () => {
    const whole = await run(CONFIG, 'none');
    const killed = await run(CONFIG, 'none', [
      { rank: 1, step: 7 },
      { rank: 2, step: 12 },
    ]);
    expect(killed.head).toEqual(whole.head);
    // A rank that applied the step before it heard of the kill has nothing to do again; others have that one step.
    killed.numSteps.forEach((count, rank) => expect(count - whole.numSteps[rank]!).toBeLessThanOrEqual(2));
  });

  it('ends in the same bytes when the lead is killed, having gone back to the last checkpoint', async () => {
    const whole = await run(CONFIG, 'fp16');
    const killed = await run(CONFIG, 'fp16', [{ rank: 0, step: 13 }]);
    expect(killed.head).toEqual(whole.head);
    expect(killed.numSteps[1]! - whole.numSteps[1]!).toBeLessThanOrEqual(CONFIG.checkpointEverySteps);
  });
});
