import { decayRangesOf } from '../../../lib/sync/layout.ts';
import type { ParameterClient, ParameterLayout } from '../../../lib/sync/protocol.ts';
import { RingMember } from '../../../lib/sync/ring-member.ts';
import type { RingPart, RingPeer } from '../../../lib/sync/ring.ts';
import type { DataParallelPlan } from '../../../lib/train/data-parallel-plan.ts';
import type { LocalExchange } from '../train/local-run.ts';
import { MemoryRing } from './memory-ring.ts';

/** Where the ranks of a ring find each other, again and again. */
export interface Rendezvous {
  meet(rank: number, signal?: AbortSignal): Promise<RingPeer>;
  kill(rank: number): Promise<void> | void;
}

/** All replicas of a ring in this process, each with parameters of its own. */
export class LocalRing implements LocalExchange {
  readonly #rendezvous: Rendezvous;
  readonly #members: RingMember[];
  readonly #make: () => RingMember;

  constructor(
    layout: ParameterLayout,
    { numSlices, shard }: DataParallelPlan,
    encoding: RingPart['encoding'],
    rendezvous: Rendezvous = new MemoryRendezvous(numSlices),
  ) {
    this.#rendezvous = rendezvous;
    this.#make = () =>
      new RingMember({
        layout,
        shard,
        decayRanges: decayRangesOf(layout, { start: 0, end: layout.length }),
        encoding,
        bucketBytes: 512,
        now: () => 0,
      });
    this.#members = Array.from({ length: numSlices }, this.#make);
  }

  async connect(rank: number, _: unknown, signal?: AbortSignal): Promise<ParameterClient> {
    return this.#members[rank]!.connect(await this.#rendezvous.meet(rank, signal), signal);
  }

  async kill(rank: number): Promise<void> {
    await this.#rendezvous.kill(rank);
    this.#members[rank] = this.#make();
  }
}

/** A new ring each time that every rank wants one. */
class MemoryRendezvous implements Rendezvous {
  readonly #size: number;
  #ring: MemoryRing;
  #met = Promise.withResolvers<void>();
  #numWaiting = 0;

  constructor(size: number) {
    this.#size = size;
    this.#ring = new MemoryRing(size);
  }

  async meet(rank: number): Promise<RingPeer> {
    const { promise } = this.#met;
    if (++this.#numWaiting === this.#size) {
      this.#ring = new MemoryRing(this.#size);
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
