import { setTimeout as delay } from 'node:timers/promises';
import type { CatalogueChange, DeltaStatus } from '../../contracts/changes.ts';
import type { ChangeStore } from '../../contracts/registry.ts';
import { shardOf } from '../../lib/ann/shard-of.ts';
import type { Logger } from '../log/logger.ts';
import type { ShardChange } from '../shards/live-shard.ts';

/** What a shard was built from: where its changes begin, and which of them are its own. */
export interface DeltaOrigin {
  catalogue: string;
  snapshot: string;
  model: string;
  shard: number;
  numShards: number;
}

export type DeltaFeed = Pick<ChangeStore, 'since' | 'vectors' | 'snapshotSeq'>;

export interface DeltaTailOptions {
  origin: DeltaOrigin;
  feed: DeltaFeed;
  /** Hands changes to the shard; called again only after it has resolved. */
  apply: (changes: ShardChange[], status: Omit<DeltaStatus, 'numRows'>) => Promise<void>;
  logger?: Logger;
}

type Put = Extract<CatalogueChange, { kind: 'put' }>;

/** Read at once, from the feed and of vectors. */
const PAGE = 500;
/** A change waits half of this on average. */
const POLL_MS = 100;
const RETRY_MS = 500;

/**
 * Follows a catalogue's changes for one shard. Invariant: the shard knows all its changes up to `position`, but for items whose new
 * picture has no vector yet, which wait and are found by their old one; a change that comes later overtakes a waiting one of its item.
 */
export class DeltaTail {
  readonly #options: DeltaTailOptions;
  readonly #waiting = new Map<string, Put>();
  readonly #stop = new AbortController();
  #sinceSeq: number | undefined;
  #position = 0;
  #told = '';
  #running: Promise<void> | undefined;

  constructor(options: DeltaTailOptions) {
    this.#options = options;
  }

  /** Resolves once all that had changed until now, and has its vectors, is searched; from then on it follows by itself. */
  async start(): Promise<void> {
    await this.#untilCaughtUp();
    this.#running ??= this.#follow();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** One step through the feed. @returns whether there is more to read at once */
  async step(): Promise<boolean> {
    const { feed, apply } = this.#options;
    const { catalogue, snapshot, shard, numShards } = this.#options.origin;
    if (this.#sinceSeq === undefined) {
      this.#sinceSeq = await feed.snapshotSeq(catalogue, snapshot);
      this.#position = this.#sinceSeq;
    }
    const read = await feed.since(catalogue, { after: this.#position, limit: PAGE });
    const changes: ShardChange[] = [];
    for (const change of read) {
      if (shardOf(change.id, numShards) !== shard) continue;
      this.#waiting.delete(change.id);
      if (change.kind === 'delete') changes.push({ kind: 'delete', id: change.id });
      else if (change.imageSeq <= this.#sinceSeq) changes.push(toShard(change, 'kept'));
      else this.#waiting.set(change.id, change);
    }
    changes.push(...(await this.#embedded()));
    this.#position = read.at(-1)?.seq ?? this.#position;
    const [oldest] = this.#waiting.values();
    const searchableSeq = oldest === undefined ? this.#position : oldest.seq - 1;
    const status = { searchableSeq, numWaiting: this.#waiting.size };
    const said = JSON.stringify(status);
    if (changes.length === 0 && said === this.#told) return false;
    try {
      await apply(changes, status);
      this.#told = said;
    } catch (error) {
      // What was not taken is read again, from the start.
      this.#position = this.#sinceSeq;
      this.#waiting.clear();
      throw error;
    }
    return read.length === PAGE;
  }

  /** Of those that wait, in the order of their changes, what has its vector now. */
  async #embedded(): Promise<ShardChange[]> {
    if (this.#waiting.size === 0) return [];
    const { feed, origin } = this.#options;
    const eldest: Put[] = [];
    for (const change of this.#waiting.values()) if (eldest.push(change) === PAGE) break;
    const images = [...new Set(eldest.map(({ image }) => image))];
    const vectors = await feed.vectors(origin.catalogue, origin.model, images);
    return eldest.flatMap((change) => {
      const vector = vectors.get(change.image);
      if (vector === undefined) return [];
      this.#waiting.delete(change.id);
      return [toShard(change, vector)];
    });
  }

  async #untilCaughtUp(): Promise<void> {
    for (let before = Infinity; !this.#stop.signal.aborted;) {
      const hasMore = await this.#tried(() => this.step());
      // Vectors are fetched a page at a time too: as long as some come, more may.
      if (hasMore === false && (this.#waiting.size === 0 || this.#waiting.size === before)) return;
      before = this.#waiting.size;
    }
  }

  async #follow(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const hasMore = await this.#tried(() => this.step());
      if (hasMore !== true) await this.#pause(POLL_MS);
    }
  }

  /** Undefined when it failed. */
  async #tried(step: () => Promise<boolean>): Promise<boolean | undefined> {
    try {
      return await step();
    } catch (error) {
      if (this.#stop.signal.aborted) return undefined;
      this.#options.logger?.warn(
        { err: error, ...this.#options.origin },
        'changes could not be followed; trying again',
      );
      await this.#pause(RETRY_MS);
      return undefined;
    }
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}

function toShard({ id, category, attributes }: Put, vector: Float32Array | 'kept' | null): ShardChange {
  return { kind: 'put', id, category, attributes, vector };
}
