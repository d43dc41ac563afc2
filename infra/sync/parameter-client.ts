import { randomInt } from 'node:crypto';
import { LookalikeError } from '../../contracts/errors.ts';
import { floatsOf } from '../../lib/sync/float-bytes.ts';
import type { Frame } from '../../lib/sync/frames.ts';
import { partition } from '../../lib/sync/layout.ts';
import type {
  ParameterClient,
  ParameterLayout,
  PushOutcome,
  ShardSeed,
  ShardStatistics,
} from '../../lib/sync/protocol.ts';
import type { Logger } from '../log/logger.ts';
import { deriveRunKeys } from './curve-keys.ts';
import { NO_BODY, packState, unpackState } from './frame-parts.ts';
import type { PushEncoders } from './push-encoders.ts';
import { ShardLink } from './shard-link.ts';
import { MAX_TEXT_BYTES, STATE_BYTES_PER_VALUE } from './socket-options.ts';
import { createTrafficMeter } from './traffic-meter.ts';

export interface ParameterClientOptions {
  /** The data-plane secret, and the run whose shards these are. */
  token: string;
  run: string;
  layout: ParameterLayout;
  numShards: number;
  /** Where the shards are now, those that are known; asked again whenever one is lost. */
  endpoints: () => Promise<readonly { shard: number; url: string }[]>;
  /** Made for the shards' ranges; a replica keeps them when it takes a new client. */
  encoders: PushEncoders;
  /** Without an answer a request is sent again after this. Default: 2 s, doubled each time. */
  attemptMs?: number;
  /** A shard that says nothing for this long is `unavailable`. Default: 15 s. */
  silenceMs?: number;
  /** Both are longer by what request and answer take at this rate. Default: 125,000, as over 1 Mbit/s. */
  slowestBytesPerSecond?: number;
  /** Told where a shard was that did not answer. */
  logger?: Logger;
}

/** First incarnations are drawn from 1 up to this, so that a client of shards that are all gone is not taken for one of their successors'. */
const MAX_FIRST_INCARNATION = 2 ** 31;
/**
 * Later ones are drawn from as many after the newest, so that two leads that know of each other nothing do not start the same one:
 * shards that each took another's state must not look as one. Over 30,000 seeds of a run fit into a header's 32 bits.
 */
const MAX_INCARNATION_STEP = 2 ** 16;

/** All shards of a run behind one flat vector. `status` and `seed` make it a client of the incarnation that they find or start. */
export function createParameterClient(options: ParameterClientOptions): ParameterClient {
  const { token, run, layout, numShards, endpoints, encoders, attemptMs = 2_000, silenceMs = 15_000 } = options;
  const { slowestBytesPerSecond = 125_000, logger } = options;
  const ranges = partition(layout.length, numShards);
  const keys = deriveRunKeys(token, run);
  const meter = createTrafficMeter();
  const links = ranges.map(
    ({ start, end }, shard) =>
      new ShardLink({
        shard,
        keys,
        locate: async () => (await endpoints()).find((each) => each.shard === shard)?.url,
        maxMessageBytes: STATE_BYTES_PER_VALUE * (end - start) + MAX_TEXT_BYTES,
        attemptMs,
        silenceMs,
        slowestBytesPerSecond,
        onTraffic: meter.count,
        logger,
      }),
  );
  let incarnation = 0;

  /** Asks all at once; when one refuses, the others are not waited for. */
  function askAll<T>(
    ask: (link: ShardLink, shard: number, signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T[]> {
    const failed = new AbortController();
    const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    return meter.wait(
      Promise.all(links.map((link, shard) => ask(link, shard, either))).catch((error: unknown) => {
        failed.abort();
        throw error;
      }),
    );
  }

  const lengthOf = (shard: number): number => ranges[shard]!.end - ranges[shard]!.start;

  function expectValues(frame: Frame, shard: number): Float32Array {
    const length = lengthOf(shard);
    if (frame.type === 'values' && frame.body.length === 4 * length) return floatsOf(frame.body);
    throw unexpected(shard, `${length} values`, frame);
  }

  async function status(signal?: AbortSignal): Promise<{ incarnation: number; statistics: ShardStatistics }[]> {
    const states = await askAll(async (link, shard, either) => {
      const frame = await link.ask({ type: 'status' }, NO_BODY, { signal: either });
      if (frame.type !== 'statistics') throw unexpected(shard, 'statistics', frame);
      const statistics = JSON.parse(Buffer.from(frame.body).toString()) as ShardStatistics;
      return { incarnation: frame.incarnation, statistics };
    }, signal);
    const [{ incarnation: found }] = states as [(typeof states)[number]];
    if (states.every((state) => state.incarnation === found)) incarnation = found;
    return states;
  }

  return {
    layout,
    status,

    async pull({ step, signal }) {
      const frames = await askAll(
        (link, shard, either) =>
          link.ask({ type: 'pull', incarnation, step }, NO_BODY, { answerBytes: 4 * lengthOf(shard), signal: either }),
        signal,
      );
      const values = new Float32Array(layout.length);
      frames.forEach((frame, shard) => values.set(expectValues(frame, shard), ranges[shard]!.start));
      return { version: Math.min(...frames.map(({ version }) => version)), values };
    },

    async push(push, signal) {
      if (push.gradient.length !== layout.length) {
        const message = `Expected a gradient of ${layout.length} values, got ${push.gradient.length}.`;
        throw new LookalikeError('dimensionMismatch', message);
      }
      const { slice, step, version, weight, learningRate } = push;
      const parts = encoders.encode(push, incarnation);
      const frames = await askAll((link, shard, either) => {
        const { encoding, bytes } = parts[shard]!;
        const numValues = lengthOf(shard);
        const scalars = { incarnation, slice, step, version, weight, learningRate, encoding, numValues };
        return link.ask({ type: 'push', ...scalars }, bytes, { signal: either });
      }, signal);
      return worstOf(frames.map((frame, shard) => outcomeOf(frame, shard)));
    },

    async snapshot(step, signal) {
      const whole: ShardSeed = {
        step,
        values: new Float32Array(layout.length),
        firstMoments: new Float32Array(layout.length),
        secondMoments: new Float32Array(layout.length),
      };
      await askAll(async (link, shard, either) => {
        const { start, end } = ranges[shard]!;
        const answerBytes = STATE_BYTES_PER_VALUE * (end - start);
        const frame = await link.ask({ type: 'snapshot', incarnation, step }, NO_BODY, { answerBytes, signal: either });
        const isWhole = frame.step === step && frame.body.length === answerBytes;
        if (frame.type !== 'state' || !isWhole) throw unexpected(shard, `its state after step ${step}`, frame);
        const part = unpackState(frame);
        whole.values.set(part.values, start);
        whole.firstMoments.set(part.firstMoments, start);
        whole.secondMoments.set(part.secondMoments, start);
      }, signal);
      return whole;
    },

    async seed({ step, values, firstMoments, secondMoments }, signal) {
      for (const array of [values, firstMoments, secondMoments]) {
        if (array.length === layout.length) continue;
        throw new LookalikeError('dimensionMismatch', `Expected ${layout.length} values, got ${array.length}.`);
      }
      const newest = Math.max(...(await status(signal)).map((state) => state.incarnation));
      const next = newest === 0 ? randomInt(1, MAX_FIRST_INCARNATION) : newest + randomInt(1, MAX_INCARNATION_STEP);
      await askAll(async (link, shard, either) => {
        const { start, end } = ranges[shard]!;
        const body = packState({
          step,
          values: values.subarray(start, end),
          firstMoments: firstMoments.subarray(start, end),
          secondMoments: secondMoments.subarray(start, end),
        });
        const header = { type: 'seed', incarnation: next, step, numValues: end - start } as const;
        const frame = await link.ask(header, body, { signal: either });
        if (frame.type !== 'seeded') throw unexpected(shard, 'its word that it is seeded', frame);
      }, signal);
      incarnation = next;
    },

    traffic: () => meter.read(),

    // eslint-disable-next-line @typescript-eslint/require-await
    async close() {
      for (const link of links) link.close();
    },
  };
}

function outcomeOf(frame: Frame, shard: number): PushOutcome {
  const { type } = frame;
  if (type === 'accepted' || type === 'duplicate' || type === 'dropped') return type;
  throw unexpected(shard, 'what became of a push', frame);
}

/** Dropped if any shard did without it; a duplicate only if it was one for all. */
function worstOf(outcomes: readonly PushOutcome[]): PushOutcome {
  if (outcomes.includes('dropped')) return 'dropped';
  return outcomes.includes('accepted') ? 'accepted' : 'duplicate';
}

function unexpected(shard: number, expected: string, { type, body }: Frame): LookalikeError {
  const message = `Expected ${expected} from parameter shard ${shard}, got \`${type}\` with ${body.length} bytes: both ends must run the same version and model.`;
  return new LookalikeError('invalidInput', message);
}
