import { LookalikeError } from '../../../contracts/errors.ts';
import { decodeGradient } from '../../../lib/sync/compression/index.ts';
import { ParameterShard } from '../../../lib/sync/parameter-shard.ts';
import type {
  Encoding,
  ParameterClient,
  ParameterLayout,
  Push,
  PushOutcome,
  ShardConfig,
  ShardStatistics,
} from '../../../lib/sync/protocol.ts';

/** What a gradient is made into on its way, one part for each shard; the same bytes when it is repeated. */
export interface LocalEncoders {
  encode(push: Push, incarnation: number): readonly { encoding: Encoding; bytes: Uint8Array }[];
}

export interface LocalClientOptions {
  encoders?: LocalEncoders;
  /** Awaited before each request reaches its shard. */
  delay?: () => Promise<void>;
}

/**
 * All parameter shards of a run in this process, and any number of clients: the oracle of those that have a network. Tests delay, lose
 * and count them.
 */
export class LocalShards {
  readonly #layout: ParameterLayout;
  readonly #configs: readonly ShardConfig[];
  readonly #held: { shard: ParameterShard; incarnation: number }[];
  #incarnation = 0;

  /** @param configs of the shards, in the order of their ranges, which cover the layout */
  constructor(layout: ParameterLayout, configs: readonly ShardConfig[]) {
    this.#layout = layout;
    this.#configs = configs;
    this.#held = configs.map((own) => ({ shard: new ParameterShard(own), incarnation: 0 }));
  }

  statistics(shard = 0): ShardStatistics {
    return this.#held[shard]!.shard.statistics();
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** As if its process had been killed and started again. */
  lose(shard: number): void {
    this.#held[shard]!.shard.abort(new LookalikeError('unavailable', 'The shard went away.'));
    this.#held[shard] = { shard: new ParameterShard(this.#configs[shard]!), incarnation: 0 };
  }

  /** Like a client over a network: `status` and `seed` make it one of the incarnation that they find or start. */
  connect({ encoders, delay = () => Promise.resolve() }: LocalClientOptions = {}): ParameterClient {
    const layout = this.#layout;
    const ranges = this.#configs.map(({ range }) => range);
    const traffic = { sentBytes: 0, receivedBytes: 0, waitSeconds: 0 };
    let known = this.#incarnation;
    let isClosed = false;
    const each = <T>(ask: (shard: ParameterShard, index: number) => Promise<T> | T): Promise<T[]> =>
      Promise.all(
        this.#held.map(async (_, index) => {
          await delay();
          const { shard, incarnation } = this.#held[index]!;
          if (isClosed) throw new LookalikeError('cancelled', 'The client of the parameters was closed.');
          if (incarnation !== known)
            throw new LookalikeError('conflict', 'This client belongs to another incarnation.');
          return ask(shard, index);
        }),
      );
    const joined = (parts: Float32Array[]): Float32Array => {
      const whole = new Float32Array(layout.length);
      parts.forEach((part, i) => whole.set(part, ranges[i]!.start));
      return whole;
    };
    // A shard keeps what it is given, and the caller may fill its array anew: hence a copy.
    const cut = (vector: Float32Array, i: number): Float32Array => vector.slice(ranges[i]!.start, ranges[i]!.end);
    return {
      layout,
      async pull(request) {
        const parts = await each((shard) => shard.pull(request));
        const values = joined(parts.map((part) => part.values));
        traffic.receivedBytes += values.byteLength;
        return { version: Math.min(...parts.map(({ version }) => version)), values };
      },
      async push(push, signal) {
        if (signal?.aborted) throw new LookalikeError('cancelled', `The push of step ${push.step} was cancelled.`);
        const parts = encoders?.encode(push, known);
        const outcomes = await each((shard, i) => {
          const part = parts?.[i];
          const gradient = cut(push.gradient, i);
          traffic.sentBytes += part?.bytes.length ?? gradient.byteLength;
          const decoded = part && decodeGradient(part.encoding, part.bytes.slice(), gradient.length);
          return shard.push({ ...push, gradient: decoded ?? gradient });
        });
        return worstOf(outcomes);
      },
      async snapshot(step, signal) {
        const parts = await each((shard) => shard.snapshot(step, signal));
        const of = (key: 'values' | 'firstMoments' | 'secondMoments') => joined(parts.map((part) => part[key]));
        return { step, values: of('values'), firstMoments: of('firstMoments'), secondMoments: of('secondMoments') };
      },
      seed: ({ step, values, firstMoments, secondMoments }) => {
        known = ++this.#incarnation;
        this.#held.forEach((held, i) => {
          held.shard.seed({
            step,
            values: cut(values, i),
            firstMoments: cut(firstMoments, i),
            secondMoments: cut(secondMoments, i),
          });
          held.incarnation = known;
        });
        return Promise.resolve();
      },
      status: () => {
        known = this.#incarnation;
        return Promise.resolve(
          this.#held.map(({ shard, incarnation }) => ({ incarnation, statistics: shard.statistics() })),
        );
      },
      traffic: () => ({ ...traffic }),
      close: () => {
        isClosed = true;
        return Promise.resolve();
      },
    };
  }
}

/** Dropped if any shard did without it; a duplicate only if it was one for all. */
function worstOf(outcomes: readonly PushOutcome[]): PushOutcome {
  if (outcomes.includes('dropped')) return 'dropped';
  return outcomes.includes('accepted') ? 'accepted' : 'duplicate';
}
