import { LookalikeError } from '../../contracts/errors.ts';
import { ParameterShard } from './parameter-shard.ts';
import type { ParameterClient, ParameterLayout, ShardConfig, ShardSeed } from './protocol.ts';
import { Ring } from './ring.ts';
import type { RingPart, RingPeer } from './ring.ts';

export interface RingMemberOptions {
  layout: ParameterLayout;
  /** As of the shards of a parameter server; synchronous without backups. `numSlices` is the number of ranks. */
  shard: Omit<ShardConfig, 'range' | 'decayRanges'>;
  decayRanges: ShardConfig['decayRanges'];
  /** Of gradients; states travel as they are. */
  encoding: RingPart['encoding'];
  bucketBytes: number;
  /** A clock in seconds, for the time that is spent waiting. */
  now: () => number;
}

/** Floats by which a rank says what it holds: incarnation and step in halves, which float32 holds exactly. */
const WORDS = 4;

/**
 * A replica of a ring, which holds all parameters itself: in place of shards, every rank applies the same mean gradient to the same
 * values. It outlives its connections. Invariant: ranks of a connected ring hold the same step of the same incarnation, byte for byte;
 * where they differ when they meet, rank 0's state becomes everybody's, as the next incarnation.
 */
export class RingMember {
  readonly #options: RingMemberOptions;
  readonly #shard: ParameterShard;
  #incarnation = 0;

  /** @throws LookalikeError `invalidInput` for a configuration that cannot work, or that a ring cannot do */
  constructor(options: RingMemberOptions) {
    const { layout, shard, decayRanges } = options;
    const { consistency } = shard;
    if (consistency.kind !== 'clocked' || consistency.staleness > 0 || consistency.backups > 0) {
      throw new LookalikeError(
        'invalidInput',
        `Expected a ring to go in step, got ${JSON.stringify(consistency)}: use the exchange parameterServer.`,
      );
    }
    this.#options = options;
    // To its own parameters a rank is the only slice: what it applies is the mean already.
    this.#shard = new ParameterShard({ ...shard, numSlices: 1, range: { start: 0, end: layout.length }, decayRanges });
  }

  /**
   * Meets the other ranks; all must do so at once, and hold the same state when it resolves, unless rank 0 has none: its client then
   * wants a seed, and the others wait for that.
   * @throws LookalikeError as `Ring.allReduce`
   */
  async connect(peer: RingPeer, signal?: AbortSignal): Promise<ParameterClient> {
    const ring = new Ring(peer, this.#options.bucketBytes);
    try {
      return await this.#join(ring, peer, signal);
    } catch (error) {
      ring.close();
      throw error;
    }
  }

  async #join(ring: Ring, peer: RingPeer, signal?: AbortSignal): Promise<ParameterClient> {
    const held = await this.#tell(ring, peer, signal);
    const newest = Math.max(...held.map(({ incarnation }) => incarnation));
    const lead = held[0]!;
    const isLead = peer.rank === 0;
    let isShared = held.every(
      ({ incarnation, step }) => incarnation > 0 && incarnation === lead.incarnation && step === lead.step,
    );
    const share = async (): Promise<void> => {
      if (isLead) this.#incarnation = newest + 1;
      await this.#share(ring, isLead, signal);
      isShared = true;
    };
    if (!isShared && (!isLead || this.#shard.isSeeded)) await share();
    return this.#clientOf(ring, peer, async (state) => {
      this.#shard.seed(state);
      if (!isShared) return share();
      // The others are within their steps: they meet again, and then take this state.
      this.#incarnation++;
      const error = new LookalikeError('conflict', 'The ring starts again from another state: connect anew.');
      ring.abort(error);
      throw error;
    });
  }

  /** What every rank holds. */
  async #tell(
    ring: Ring,
    { rank, size }: RingPeer,
    signal?: AbortSignal,
  ): Promise<{ incarnation: number; step: number }[]> {
    const values = new Float32Array(WORDS * size);
    values.set(wordsOf(this.#incarnation, this.#shard.statistics().step), WORDS * rank);
    await ring.allReduce([{ values, encoding: 'none' }], signal);
    return Array.from({ length: size }, (_, i) => numbersOf(values.subarray(WORDS * i, WORDS * (i + 1))));
  }

  /** Rank 0's state to all: the sum of it and of zeros. */
  async #share(ring: Ring, isLead: boolean, signal?: AbortSignal): Promise<void> {
    const { length } = this.#options.layout;
    const head = new Float32Array(WORDS);
    let state: ShardSeed | null = null;
    if (isLead) {
      state = await this.#shard.snapshot(this.#shard.statistics().step);
      head.set(wordsOf(this.#incarnation, state.step));
    }
    // Copies: others may hold what a shard hands out.
    const own = (array?: Float32Array): Float32Array => array?.slice() ?? new Float32Array(length);
    const [values, firstMoments, secondMoments] = [
      own(state?.values),
      own(state?.firstMoments),
      own(state?.secondMoments),
    ];
    const parts = [head, values, firstMoments, secondMoments];
    await ring.allReduce(
      parts.map((part) => ({ values: part, encoding: 'none' })),
      signal,
    );
    const { incarnation, step } = numbersOf(head);
    this.#shard.seed({ step, values, firstMoments, secondMoments });
    this.#incarnation = incarnation;
  }

  #clientOf(ring: Ring, { size }: RingPeer, seed: ParameterClient['seed']): ParameterClient {
    const { layout, encoding, now } = this.#options;
    const shard = this.#shard;
    let waitSeconds = 0;
    return {
      layout,
      seed,
      async pull(request) {
        ring.expectAlive();
        return shard.pull(request);
      },
      async push({ step, version, weight, learningRate, gradient }, signal) {
        ring.expectAlive();
        if (step < shard.statistics().step) return 'duplicate';
        const values = new Float32Array(gradient.length);
        for (let i = 0; i < values.length; i++) values[i] = gradient[i]! * weight;
        const total = Float32Array.of(weight);
        const started = now();
        const parts: RingPart[] = [
          { values, encoding },
          { values: total, encoding: 'none' },
        ];
        await ring.allReduce(parts, signal);
        waitSeconds += now() - started;
        for (let i = 0; i < values.length; i++) values[i] = values[i]! / total[0]!;
        return shard.push({ slice: 0, step, version, weight: 1, learningRate, gradient: values });
      },
      async snapshot(step, signal) {
        ring.expectAlive();
        return shard.snapshot(step, signal);
      },
      // eslint-disable-next-line @typescript-eslint/require-await
      status: async () => {
        ring.expectAlive();
        const statistics = shard.statistics();
        const nextStepBySlice = new Array<number>(size).fill(statistics.step);
        return [{ incarnation: this.#incarnation, statistics: { ...statistics, nextStepBySlice } }];
      },
      traffic: () => {
        const { sentBytes, receivedBytes } = ring.traffic();
        return { sentBytes, receivedBytes, waitSeconds };
      },
      // eslint-disable-next-line @typescript-eslint/require-await
      async close() {
        ring.close();
      },
    };
  }
}

function wordsOf(incarnation: number, step: number): number[] {
  return [incarnation, step].flatMap((value) => [Math.floor(value / 2 ** 16), value % 2 ** 16]);
}

function numbersOf(words: Float32Array): { incarnation: number; step: number } {
  const [high, low, stepHigh, stepLow] = words as unknown as [number, number, number, number];
  return { incarnation: high * 2 ** 16 + low, step: stepHigh * 2 ** 16 + stepLow };
}
