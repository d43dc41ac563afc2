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
  ShardSeed,
} from '../../../lib/sync/protocol.ts';

/** What a gradient is made into on its way, one part for each shard; the same bytes when it is repeated. */
export interface LocalEncoders {
  encode(push: Push, incarnation: number): readonly { encoding: Encoding; bytes: Uint8Array }[];
}

/** The shards of a run within this process, and any number of clients. */
export interface LocalParameters {
  /** Like a client over a network: `status` and `seed` make it one of the incarnation that they find or start. */
  connect(encoders?: LocalEncoders): ParameterClient;
}

/**
 * A parameter server without a network: for runs in one process, and as the oracle of those that have one.
 * @param configs of the shards, in the order of their ranges, which cover the layout
 * @throws LookalikeError `invalidInput` for a shard that cannot work
 */
export function createLocalParameters(layout: ParameterLayout, configs: readonly ShardConfig[]): LocalParameters {
  const shards = configs.map((config) => ({ ...config.range, shard: new ParameterShard(config) }));
  let current = 0;

  function connect(encoders?: LocalEncoders): ParameterClient {
    let incarnation = 0;
    let isClosed = false;
    const traffic = { sentBytes: 0, receivedBytes: 0, waitSeconds: 0 };

    function expectCurrent(): void {
      if (isClosed) throw new LookalikeError('cancelled', 'The client of the parameters was closed.');
      if (incarnation === current && current !== 0) return;
      throw new LookalikeError(
        'conflict',
        `Expected the shards in incarnation ${incarnation}, but they are in ${current}: ask for their status and go on from there.`,
      );
    }

    return {
      layout,
      async pull(request) {
        expectCurrent();
        const parts = await Promise.all(shards.map(({ shard }) => shard.pull(request)));
        const values = new Float32Array(layout.length);
        shards.forEach(({ start }, i) => values.set(parts[i]!.values, start));
        traffic.receivedBytes += values.byteLength;
        return { version: Math.min(...parts.map(({ version }) => version)), values };
      },
      async push(push, signal) {
        if (signal?.aborted) throw new LookalikeError('cancelled', `The push of step ${push.step} was cancelled.`);
        expectCurrent();
        const parts = encoders?.encode(push, incarnation);
        const outcomes = shards.map(({ start, end, shard }, i) => {
          const part = parts?.[i];
          traffic.sentBytes += part?.bytes.length ?? 4 * (end - start);
          // A shard keeps what it is given, and the caller may fill its gradient anew: hence a copy.
          const gradient = part
            ? decodeGradient(part.encoding, part.bytes.slice(), end - start)
            : push.gradient.slice(start, end);
          return shard.push({ ...push, gradient });
        });
        return worstOf(outcomes);
      },
      async snapshot(step, signal) {
        expectCurrent();
        const parts = await Promise.all(shards.map(({ shard }) => shard.snapshot(step, signal)));
        const whole: ShardSeed = {
          step,
          values: new Float32Array(layout.length),
          firstMoments: new Float32Array(layout.length),
          secondMoments: new Float32Array(layout.length),
        };
        for (const key of ['values', 'firstMoments', 'secondMoments'] as const) {
          shards.forEach(({ start }, i) => whole[key].set(parts[i]![key], start));
        }
        return whole;
      },
      async seed({ step, values, firstMoments, secondMoments }) {
        for (const { start, end, shard } of shards) {
          shard.seed({
            step,
            values: values.subarray(start, end),
            firstMoments: firstMoments.subarray(start, end),
            secondMoments: secondMoments.subarray(start, end),
          });
        }
        incarnation = ++current;
      },
      async status() {
        incarnation = current;
        return shards.map(({ shard }) => ({ incarnation, statistics: shard.statistics() }));
      },
      traffic: () => ({ ...traffic }),
      async close() {
        isClosed = true;
      },
    };
  }

  return { connect };
}

/** Dropped if any shard did without it; a duplicate only if it was one for all. */
function worstOf(outcomes: readonly PushOutcome[]): PushOutcome {
  if (outcomes.includes('dropped')) return 'dropped';
  return outcomes.includes('accepted') ? 'accepted' : 'duplicate';
}
