import { Context, Router } from 'zeromq';
import { isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { Frame } from '../../lib/sync/frames.ts';
import type { ShardConfig, ShardStatistics } from '../../lib/sync/protocol.ts';
import type { Config } from '../config/env.ts';
import { encodeError } from '../data-plane/errors-on-the-wire.ts';
import type { Logger } from '../log/logger.ts';
import { deriveRunKeys } from './curve-keys.ts';
import { frameOf, partsOf } from './frame-parts.ts';
import { listenAt } from './listen-at.ts';
import { messagesOf } from './messages.ts';
import { ShardService } from './shard-service.ts';
import type { Answer } from './shard-service.ts';
import { announcedUrl } from './shard-address.ts';
import { MAX_TEXT_BYTES, STATE_BYTES_PER_VALUE, TCP_OPTIONS } from './socket-options.ts';
import { keepDoor } from './zap.ts';

export interface ParameterServerOptions {
  config: Pick<Config, 'dataPlane'>;
  /** Whose replicas may connect. */
  run: string;
  /** Which of the run's shards this is, from 0. */
  index: number;
  shard: ShardConfig;
  /**
   * A request for what is not there yet is told so after this, and asked again: so a client that waits knows that the shard lives.
   * Below the client's `attemptMs`. Default: 1 s.
   */
  holdMs?: number;
  logger?: Logger;
}

/** One shard of a run's parameters, in memory only, behind a socket. */
export interface ParameterServer {
  /** Of `announcedUrl`'s form, to be announced. */
  readonly url: string;
  counts(): ServerCounts;
  /** What a client's `status` says of it. */
  status(): { incarnation: number; statistics: ShardStatistics };
  /** Resolves when it serves no more: to null once closed, else to `unavailable`, as it has turned deaf and is only to be closed. */
  readonly ended: Promise<LookalikeError | null>;
  /** Ends at once: who waits is not answered. */
  close(): Promise<void>;
}

export interface ServerCounts {
  requests: number;
  /** Messages that were no frame, or damaged. */
  malformed: number;
  /** Answers that their client did not take. */
  undelivered: number;
  /** Connections with another key. */
  refused: number;
}

/** Requests of one client, and of all, that may wait at once. */
const MAX_HELD_OF_CLIENT = 8;
const MAX_HELD = 4096;
/** Messages of one client on their way in and out; beyond them it is not read, and not answered. */
const RECEIVE_QUEUE = 8;
const SEND_QUEUE = 16;
/** Where a header says what it asks, even when it is damaged. */
const SEQUENCE_OFFSET = 24;

/** @throws LookalikeError `invalidInput` for a shard that cannot work; `unavailable` when the address cannot be bound */
export async function createParameterServer(options: ParameterServerOptions): Promise<ParameterServer> {
  const { config, run, index, shard, holdMs = 1_000, logger } = options;
  const service = new ShardService(index, shard);
  const keys = deriveRunKeys(config.dataPlane.token, run);
  // A context of its own: it has one doorkeeper, which asks for this run's key.
  const context = new Context();
  const door = await keepDoor(context, keys.client);
  const router = new Router({
    context,
    ...TCP_OPTIONS,
    curveServer: true,
    curveSecretKey: keys.server.secretKey,
    zapDomain: 'lookalike',
    maxMessageSize: STATE_BYTES_PER_VALUE * (shard.range.end - shard.range.start) + MAX_TEXT_BYTES,
    // Together: an answer is taken at once or not at all, so that no client holds up another.
    mandatory: true,
    sendTimeout: 0,
    sendHighWaterMark: SEND_QUEUE,
    receiveHighWaterMark: RECEIVE_QUEUE,
  });
  const counts = { requests: 0, malformed: 0, undelivered: 0 };
  const heldBy = new Map<string, number>();
  let numHeld = 0;

  async function send(to: Buffer, sequence: number, { header, body }: Answer): Promise<void> {
    const parts = partsOf({ incarnation: service.incarnation, shard: index, sequence, ...header }, body);
    try {
      await router.send([to, ...parts]);
    } catch {
      // It is gone or does not read; one that lives asks again.
      counts.undelivered++;
    }
  }

  function errorAnswer(error: unknown): Answer {
    if (!isLookalikeError(error)) onBug(error);
    return { header: { type: 'error' }, body: Buffer.from(JSON.stringify(encodeError(error).body)) };
  }

  /** Waits for a while only, and only for so many at once. */
  async function answer(client: string, frame: Frame): Promise<Answer> {
    const held = heldBy.get(client) ?? 0;
    if (held >= MAX_HELD_OF_CLIENT || numHeld >= MAX_HELD) {
      throw new LookalikeError('overloaded', `Expected at most ${MAX_HELD_OF_CLIENT} requests at once of one client.`);
    }
    heldBy.set(client, held + 1);
    numHeld++;
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), holdMs);
    try {
      return await service.answer(frame, patience.signal);
    } catch (error) {
      if (!patience.signal.aborted) throw error;
      throw new LookalikeError('timeout', `Step ${frame.step} of shard ${index} is not there yet: ask again.`);
    } finally {
      clearTimeout(timer);
      numHeld--;
      const left = heldBy.get(client)! - 1;
      if (left > 0) heldBy.set(client, left);
      else heldBy.delete(client);
    }
  }

  async function receive(message: Buffer[]): Promise<void> {
    const [from, header, body] = message;
    counts.requests++;
    if (from === undefined || header === undefined || body === undefined || message.length !== 3) {
      counts.malformed++;
      return;
    }
    let frame: Frame;
    try {
      frame = frameOf(header, body);
    } catch (error) {
      counts.malformed++;
      // Perhaps another number than was sent: then nobody waits for this answer.
      if (header.length >= SEQUENCE_OFFSET + 4) {
        await send(from, header.readUInt32LE(SEQUENCE_OFFSET), errorAnswer(error));
      }
      return;
    }
    const answered = await answer(from.toString('latin1'), frame).catch(errorAnswer);
    await send(from, frame.sequence, answered);
  }

  const onBug = (error: unknown): void => {
    logger?.error({ err: error, shard: index }, 'A request to a parameter shard failed.');
  };

  async function serve(): Promise<void> {
    for await (const message of messagesOf(router)) receive(message).catch(onBug);
  }

  function onFailure(error: unknown): LookalikeError | null {
    if (router.closed) return null;
    logger?.error({ err: error, shard: index }, 'A parameter shard stopped listening.');
    const message = `Expected parameter shard ${index} to go on listening, but its socket failed: start it again.`;
    return new LookalikeError('unavailable', message, { shard: index }, { cause: error });
  }

  // What fails first counts: a shard without its doorkeeper is deaf to whoever is not connected yet.
  const doorFailed = door.ended.then(() => null, onFailure);
  const endpoint = await listenAt(router, config.dataPlane.host).catch((error: unknown) => {
    door.close();
    throw error;
  });
  const url = announcedUrl(endpoint, keys.server);
  const served = serve().then(() => null, onFailure);

  return {
    url,
    ended: Promise.race([served, doorFailed]),
    counts: () => ({ ...counts, refused: door.refused() }),
    status: () => ({ incarnation: service.incarnation, statistics: service.statistics() }),
    async close() {
      if (router.closed) return;
      service.abort(new LookalikeError('unavailable', 'The shard is being stopped.'));
      // Not `unbind`: it works on the socket in another thread while this one polls it, which crashes.
      router.close();
      door.close();
      await Promise.all([served, doorFailed]);
    },
  };
}
