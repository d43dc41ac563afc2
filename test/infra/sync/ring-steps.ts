import { decayRangesOf } from '../../../lib/sync/layout.ts';
import type { ParameterClient } from '../../../lib/sync/protocol.ts';
import { RingMember } from '../../../lib/sync/ring-member.ts';
import { MemoryRing } from '../../lib/sync/memory-ring.ts';
import { bitsOf, layoutOf, pushOf, seedOf, SHARED } from './cluster.ts';

export function memberOf(length: number, size: number): RingMember {
  const layout = layoutOf(length);
  return new RingMember({
    layout,
    shard: { ...SHARED, numSlices: size },
    decayRanges: decayRangesOf(layout, { start: 0, end: length }),
    encoding: 'none',
    bucketBytes: 2 ** 14,
    now: () => 0,
  });
}

/** One rank's part of a run, from where it is; rank 0 seeds where nobody has. Answers what its parameters are then. */
export async function stepThrough(
  client: ParameterClient,
  rank: number,
  numSteps: number,
  onStep: (step: number) => void = () => undefined,
): Promise<string> {
  const { length } = client.layout;
  const [state] = await client.status();
  if (state!.incarnation === 0) await client.seed(seedOf(length));
  const [seeded] = await client.status();
  for (let { step } = seeded!.statistics; step < numSteps; step++) {
    const { version } = await client.pull({ step });
    await client.push(pushOf(length, step, rank, version));
    onStep(step);
  }
  return bitsOf((await client.pull({ step: numSteps })).values);
}

/** What every rank of a ring in memory ends with. */
export async function bitsInMemory(length: number, size: number, numSteps: number): Promise<string> {
  const { peers } = new MemoryRing(size);
  const bits = await Promise.all(
    peers.map(async (peer, rank) => stepThrough(await memberOf(length, size).connect(peer), rank, numSteps)),
  );
  return bits[0]!;
}
