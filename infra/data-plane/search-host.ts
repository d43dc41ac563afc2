import { Worker } from 'node:worker_threads';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { originOf } from '../delta/delta-origin.ts';
import { DeltaTail } from '../delta/delta-tail.ts';
import type { DeltaFeed, DeltaTailOptions } from '../delta/delta-tail.ts';
import type { Logger } from '../log/logger.ts';
import { fetchShard } from '../shards/load-shard.ts';
import type { ShardStores } from '../shards/load-shard.ts';
import type { LoadCounter } from './search-routes.ts';
import type { SearchCommand, SearchCommandMessage, SearchThreadInput, SearchThreadMessage } from './search-thread.ts';

/** Answers shard queries over HTTP from a thread of its own. */
export interface SearchHost {
  readonly url: string;
  /** Fetches, verifies and opens a shard, with what has changed since it was built; idempotent. @throws LookalikeError `notFound` | `corruptArtifact` | `unavailable` */
  loadShard(artifactId: string): Promise<void>;
  /** Refuses new queries for the shard, lets the running ones finish, then frees it; idempotent. */
  unloadShard(artifactId: string): Promise<void>;
  loaded(): string[];
  /** For heartbeats. @throws LookalikeError `unavailable` when the thread has died */
  load(): { queries: number; inFlight: number };
  close(): Promise<void>;
}

export interface SearchHostOptions {
  config: Pick<Config, 'dataPlane'>;
  stores: ShardStores;
  /** What changes in the catalogues; without it, shards stay as they were built. */
  feed?: DeltaFeed;
  logger?: Logger;
  /** The thread ended by itself after it had started: this host answers nothing any more and cannot be revived. */
  onDeath?: (error: LookalikeError) => void;
}

export async function startSearchHost(options: SearchHostOptions): Promise<SearchHost> {
  const { config, stores, feed, logger, onDeath } = options;
  const counter: LoadCounter = new BigInt64Array(new SharedArrayBuffer(16));
  const { host: address, token } = config.dataPlane;
  const thread = new URL(`./search-thread${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);
  const input: SearchThreadInput = { address, token, load: counter };
  const worker = new Worker(thread, { workerData: input });

  const waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  const loaded = new Set<string>();
  let lastCommand = 0;
  let dead: LookalikeError | undefined;
  let started = false;

  const url = await new Promise<string>((resolve, reject) => {
    const die = (reason: string): void => {
      const isNews = dead === undefined;
      dead ??= new LookalikeError('unavailable', `The search host's thread has ended: ${reason}.`);
      reject(dead);
      for (const { reject: fail } of waiting.values()) fail(dead);
      waiting.clear();
      if (started && isNews) onDeath?.(dead);
    };
    worker.on('error', (error) => die(String(error)));
    worker.on('exit', (code) => die(`exit code ${code}`));
    worker.on('message', (message: SearchThreadMessage) => {
      switch (message.type) {
        case 'listening':
          started = true;
          return resolve(message.url);
        case 'error':
          return logger?.error({ thread: 'search', error: message.message }, 'A search request failed.');
        case 'answer': {
          const caller = waiting.get(message.id);
          waiting.delete(message.id);
          if (message.failure === null) return caller?.resolve();
          const { code, message: text } = message.failure;
          return caller?.reject(code === null ? new Error(text) : new LookalikeError(code, text));
        }
      }
    });
  });

  const send = (command: SearchCommand): Promise<void> =>
    new Promise((resolve, reject) => {
      if (dead !== undefined) return reject(dead);
      const id = ++lastCommand;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, command } satisfies SearchCommandMessage);
    });

  /** One for each shard held, and when it had caught up. */
  const tails = new Map<string, { tail: DeltaTail; ready: Promise<void> }>();
  async function follow(artifact: string, changes: DeltaFeed): Promise<void> {
    const origin = await originOf(stores.artifacts, artifact);
    let held = tails.get(artifact);
    if (held === undefined) {
      const apply: DeltaTailOptions['apply'] = (batch, status) =>
        send({ type: 'apply', artifact, changes: batch, status });
      const tail = new DeltaTail({ origin, feed: changes, apply, logger });
      held = { tail, ready: tail.start() };
      tails.set(artifact, held);
    }
    await held.ready;
  }
  async function stopTail(artifact: string): Promise<void> {
    const held = tails.get(artifact);
    tails.delete(artifact);
    await held?.tail.stop();
  }

  return {
    url,
    async loadShard(artifactId) {
      const files = await fetchShard(stores, artifactId);
      await send({ type: 'load', files });
      loaded.add(artifactId);
      if (feed !== undefined) await follow(artifactId, feed);
    },
    async unloadShard(artifactId) {
      loaded.delete(artifactId);
      await stopTail(artifactId);
      await send({ type: 'unload', artifact: artifactId });
    },
    loaded: () => [...loaded],
    load() {
      if (dead !== undefined) throw dead;
      return { queries: Number(Atomics.load(counter, 0)), inFlight: Number(Atomics.load(counter, 1)) };
    },
    async close() {
      await Promise.all([...tails.keys()].map(stopTail));
      if (dead === undefined) await send({ type: 'close' }).catch(() => undefined);
      dead ??= new LookalikeError('unavailable', 'The search host is closed.');
      await worker.terminate();
    },
  };
}
