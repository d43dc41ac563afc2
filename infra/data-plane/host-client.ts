import { Pool } from 'undici';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import { DATA_PLANE_TOKEN_HEADER } from '../../contracts/serving.ts';
import { decodeError } from './errors-on-the-wire.ts';
import { PeerLoad } from './peer-load.ts';
import { rankByTwoChoices } from './two-choices.ts';

/** A host that did not answer is asked last for this long. */
const AVOID_MS = 1000;
/** Pools of hosts that nobody asked for this long are closed. */
const IDLE_MS = 60_000;

interface Peer {
  pool: Pool;
  load: PeerLoad;
  avoidUntil: number;
  lastUsed: number;
}

export interface HostClient {
  /**
   * @throws the host's own LookalikeError; `unavailable` when it does not answer; `timeout` after `timeoutMs`; `cancelled`
   * when the signal aborts. In the background a late answer is no reason to avoid the host.
   */
  post(
    url: string,
    path: string,
    body: string | Uint8Array,
    options: { timeoutMs: number; signal?: AbortSignal; background?: boolean },
  ): Promise<unknown>;
  /** Best choice first: hosts that answered lately, of those the less loaded of two, and so on; see {@link rankByTwoChoices}. */
  rank<T extends { url: string }>(hosts: readonly T[]): T[];
  /** Ask this host last for a while. */
  avoid(url: string): void;
  close(): Promise<void>;
}

/** Kept-alive connections to data-plane hosts, and how each of them does. */
export function createHostClient(token: string, random: () => number = Math.random): HostClient {
  const peers = new Map<string, Peer>();

  function peerOf(url: string): Peer {
    let peer = peers.get(url);
    if (peer === undefined) {
      const pool = new Pool(url, { connections: 64, pipelining: 1, connect: { timeout: 2000 } });
      peer = { pool, load: new PeerLoad(), avoidUntil: 0, lastUsed: 0 };
      peers.set(url, peer);
    }
    peer.lastUsed = Date.now();
    return peer;
  }

  const sweeper = setInterval(() => {
    for (const [url, { pool, load, lastUsed }] of peers) {
      if (load.inFlight > 0 || Date.now() - lastUsed < IDLE_MS) continue;
      peers.delete(url);
      void pool.destroy();
    }
  }, IDLE_MS).unref();

  const avoid = (url: string): void => {
    const peer = peers.get(url);
    if (peer !== undefined) peer.avoidUntil = Date.now() + AVOID_MS;
  };

  return {
    avoid,

    async post(url, path, body, { timeoutMs, signal, background = false }) {
      const peer = peerOf(url);
      const timeout = AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs)));
      const type = typeof body === 'string' ? 'application/json' : 'application/octet-stream';
      peer.load.inFlight++;
      const started = performance.now();
      try {
        const response = await peer.pool.request({
          method: 'POST',
          path,
          body,
          headers: { [DATA_PLANE_TOKEN_HEADER]: token, 'content-type': type },
          signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        });
        const text = await response.body.text();
        if (response.statusCode !== 200) throw decodeError(response.statusCode, text, url);
        // What waits for others says nothing of how loaded the host is.
        if (!background) peer.load.record(performance.now() - started, performance.now());
        return JSON.parse(text) as unknown;
      } catch (error) {
        if (error instanceof LookalikeError) throw error;
        if (!background) peer.load.recordAtLeast(performance.now() - started, performance.now());
        if (signal?.aborted === true) throw new LookalikeError('cancelled', 'The request was called off.');
        if (!background) avoid(url);
        if (timeout.aborted) {
          const message = `Expected an answer from ${url} within ${Math.ceil(timeoutMs)} ms, got none.`;
          throw new LookalikeError('timeout', message, {}, { cause: error });
        }
        const message = `Expected ${url} to answer, got: ${errorMessage(error)}.`;
        throw new LookalikeError('unavailable', message, {}, { cause: error });
      } finally {
        peer.load.inFlight--;
      }
    },

    rank(hosts) {
      const [date, now] = [Date.now(), performance.now()];
      const isAvoided = ({ url }: { url: string }): boolean => (peers.get(url)?.avoidUntil ?? 0) > date;
      const loadOf = ({ url }: { url: string }): number => peers.get(url)?.load.value(now) ?? 0;
      const { fit = [], avoided = [] } = Object.groupBy(hosts, (host) => (isAvoided(host) ? 'avoided' : 'fit'));
      return [...rankByTwoChoices(fit, loadOf, random), ...rankByTwoChoices(avoided, loadOf, random)];
    },

    async close() {
      clearInterval(sweeper);
      await Promise.all([...peers.values()].map(({ pool }) => pool.destroy()));
      peers.clear();
    },
  };
}
