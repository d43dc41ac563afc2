import { Pool } from 'undici';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import { DATA_PLANE_TOKEN_HEADER } from '../../contracts/serving.ts';
import { decodeError } from './errors-on-the-wire.ts';

/** A host that did not answer is asked last for this long. */
const AVOID_MS = 1000;
/** Pools of hosts that nobody asked for this long are closed. */
const IDLE_MS = 60_000;

interface Peer {
  pool: Pool;
  inFlight: number;
  avoidUntil: number;
  lastUsed: number;
}

export interface HostClient {
  /**
   * @throws the host's own LookalikeError; `unavailable` when it does not answer; `timeout` after `timeoutMs`; `cancelled`
   * when the signal aborts
   */
  post(
    url: string,
    path: string,
    body: string | Uint8Array,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<unknown>;
  /** Best choice first: hosts that answered lately, then the least busy. Equal ones in turn. */
  rank<T extends { url: string }>(hosts: readonly T[]): T[];
  /** Ask this host last for a while. */
  avoid(url: string): void;
  close(): Promise<void>;
}

/** Kept-alive connections to data-plane hosts, and how each of them does. */
export function createHostClient(token: string): HostClient {
  const peers = new Map<string, Peer>();
  let turn = 0;

  function peerOf(url: string): Peer {
    let peer = peers.get(url);
    if (peer === undefined) {
      const pool = new Pool(url, { connections: 64, pipelining: 1, connect: { timeout: 2000 } });
      peer = { pool, inFlight: 0, avoidUntil: 0, lastUsed: 0 };
      peers.set(url, peer);
    }
    peer.lastUsed = Date.now();
    return peer;
  }

  const sweeper = setInterval(() => {
    for (const [url, { pool, inFlight, lastUsed }] of peers) {
      if (inFlight > 0 || Date.now() - lastUsed < IDLE_MS) continue;
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

    async post(url, path, body, { timeoutMs, signal }) {
      const peer = peerOf(url);
      const timeout = AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs)));
      const type = typeof body === 'string' ? 'application/json' : 'application/octet-stream';
      peer.inFlight++;
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
        return JSON.parse(text) as unknown;
      } catch (error) {
        if (error instanceof LookalikeError) throw error;
        if (signal?.aborted === true) throw new LookalikeError('cancelled', 'The request was called off.');
        avoid(url);
        if (timeout.aborted) {
          const message = `Expected an answer from ${url} within ${Math.ceil(timeoutMs)} ms, got none.`;
          throw new LookalikeError('timeout', message, {}, { cause: error });
        }
        const message = `Expected ${url} to answer, got: ${errorMessage(error)}.`;
        throw new LookalikeError('unavailable', message, {}, { cause: error });
      } finally {
        peer.inFlight--;
      }
    },

    rank(hosts) {
      const now = Date.now();
      turn++;
      const rated = hosts.map((host, i) => {
        const peer = peers.get(host.url);
        const avoided = peer !== undefined && peer.avoidUntil > now ? 1 : 0;
        return { host, avoided, inFlight: peer?.inFlight ?? 0, order: (i + turn) % hosts.length };
      });
      rated.sort((a, b) => a.avoided - b.avoided || a.inFlight - b.inFlight || a.order - b.order);
      return rated.map(({ host }) => host);
    },

    async close() {
      clearInterval(sweeper);
      await Promise.all([...peers.values()].map(({ pool }) => pool.destroy()));
      peers.clear();
    },
  };
}
