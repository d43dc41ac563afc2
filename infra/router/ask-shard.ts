import { isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { ShardEndpoint } from '../../contracts/serving.ts';
import type { HostClient } from '../data-plane/host-client.ts';
import type { HedgePolicy } from './hedge-policy.ts';

export interface AskShard {
  client: HostClient;
  hedging: HedgePolicy;
  /** Replicas of one shard, all holding the same artefact. */
  replicas: readonly ShardEndpoint[];
  /** Name under which the shard's latencies are kept. */
  shardName: string;
  verb: 'search' | 'vectors';
  body: string;
  /** When to give up, on the clock of performance.now(). */
  deadline: number;
  signal?: AbortSignal;
  /** Nobody waits: no second replica is asked because the first is slow, and slowness says nothing of the replica. */
  background?: boolean;
}

/** An answer, and how it was come by. */
export interface Asked {
  answer: unknown;
  replica: ShardEndpoint;
  /** Replicas that were asked. */
  numAsked: number;
  /** One that was slow was raced by another. */
  isHedged: boolean;
  ms: number;
}

/** The caller's own mistakes: every replica would say the same. */
const FINAL = new Set<ErrorCode>(['invalidInput', 'dimensionMismatch', 'nonFinite', 'unauthorized', 'cancelled']);

/**
 * The answer of whichever replica gives one first. A replica that fails is followed by the next at once; one that is slower than
 * this shard usually is, is raced by another; losers are called off.
 * @throws LookalikeError the caller's mistake; else `notFound` when a replica no longer holds the artefact; else the last failure
 */
export function askShard(ask: AskShard): Promise<Asked> {
  const { client, hedging, shardName, verb, body, deadline, signal, background = false } = ask;
  const waiting = client.rank(ask.replicas);
  if (waiting.length === 0) {
    return Promise.reject(
      new LookalikeError('unavailable', `Expected a replica of ${shardName}, but none is announced.`),
    );
  }
  const over = new AbortController();
  const calledOff = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const hedgeDelay = background ? Infinity : hedging.delayMs(shardName);
  const running = new Set<ShardEndpoint>();
  let hedge: NodeJS.Timeout | undefined;
  let failure: LookalikeError | undefined;
  const asked = performance.now();
  let numAsked = 0;
  let isHedged = false;

  return new Promise<Asked>((resolve, reject) => {
    const startNext = (): void => {
      const replica = waiting.shift();
      if (replica === undefined) return;
      running.add(replica);
      numAsked++;
      const start = performance.now();
      const path = `/shards/${replica.artifact}/${verb}`;
      client.post(replica.url, path, body, { timeoutMs: deadline - start, signal: calledOff, background }).then(
        (answer) => {
          running.delete(replica);
          if (!background) hedging.record(shardName, performance.now() - start);
          // Whoever is still silent now has lost a race that it was given a head start in.
          for (const loser of running) client.avoid(loser.url);
          resolve({ answer, replica, numAsked, isHedged, ms: performance.now() - asked });
        },
        (error: unknown) => {
          running.delete(replica);
          if (!isLookalikeError(error) || FINAL.has(error.code)) return reject(asError(error));
          failure = worse(failure, error);
          if (waiting.length > 0 && performance.now() < deadline) startNext();
          else if (running.size === 0) reject(failure);
        },
      );
      clearTimeout(hedge);
      if (waiting.length > 0 && !background) {
        hedge = setTimeout(() => {
          hedging.spend();
          isHedged = true;
          startNext();
        }, hedgeDelay);
      }
    };
    startNext();
  }).finally(() => {
    clearTimeout(hedge);
    over.abort();
  });
}

/** "I no longer hold it" outweighs silence: it proves that the table is old. */
function worse(known: LookalikeError | undefined, next: LookalikeError): LookalikeError {
  return known?.code === 'notFound' ? known : next;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
