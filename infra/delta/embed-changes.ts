import { setTimeout as delay } from 'node:timers/promises';
import type { BlobStore } from '../../contracts/artifacts.ts';
import type { DeltaTarget, PictureVector } from '../../contracts/changes.ts';
import { errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import type { ChangeStore } from '../../contracts/registry.ts';
import { ownerOf } from '../../lib/delta/owner-of.ts';
import type { Embedder } from '../inference/embedder.ts';
import type { Logger } from '../log/logger.ts';

export interface EmbedChangesOptions {
  changes: Pick<ChangeStore, 'targets' | 'unembedded' | 'putVectors' | 'numVectors' | 'lastSeq' | 'prune'>;
  blobs: Pick<BlobStore, 'get'>;
  embedder: Pick<Embedder, 'embed'>;
  /** This host's name, and those of all embed hosts that answer now. */
  name: string;
  peers: () => Promise<string[]>;
  logger?: Logger;
  /** Of one catalogue and model. Default {@link MAX_CHANGED}. */
  maxChanged?: number;
}

/**
 * Every replica holds changed vectors and every search compares all of them: where more pictures changed than this, the rest waits for the next
 * generation.
 */
export const MAX_CHANGED = 50_000;

/** Most pictures embedded between two writes: half a second of work, where so many wait. */
const BATCH = 32;
/** Looked at to find some of one's own. */
const PAGE = 256;
const POLL_MS = 100;
const RETRY_MS = 500;
const AVOID_MS = 5_000;
/** How long a look at peers and targets is good enough. */
const LOOK_MS = 1000;
/** From the snapshot on again: what was forgotten in between is needed again when a generation comes back. */
const REWIND_MS = 30_000;
const PRUNE_MS = 60_000;

/**
 * Embeds the pictures that came into catalogues since the snapshots of what serves them, or is about to. It keeps no state: what has no
 * vector yet is to be done, whoever was at it before. Pictures are divided among the hosts that answer by their hashes; hosts that
 * disagree for a moment about who answers make the same vector twice.
 */
export class EmbedChanges {
  readonly #options: EmbedChangesOptions;
  readonly #stop = new AbortController();
  /** By target: all changes up to this number have their vectors. */
  #done = new Map<string, number>();
  #rewoundAt = -Infinity;
  #targets: DeltaTarget[] = [];
  #peers: string[] = [];
  #lookedAt = -Infinity;
  #prunedAt = performance.now();
  /** Pictures whose bytes could not be had, and until when they are not asked for again. */
  readonly #avoided = new Map<string, number>();
  #running: Promise<void> | undefined;

  constructor(options: EmbedChangesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let pauseMs = POLL_MS;
      try {
        if (await this.step()) pauseMs = 0;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#options.logger?.warn({ err: error }, 'changed pictures could not be embedded; trying again');
        pauseMs = RETRY_MS;
      }
      await delay(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** Embeds a batch for each target. @returns whether anything was found to do */
  async step(): Promise<boolean> {
    await this.#look();
    let found = false;
    for (const target of this.#targets) found = (await this.#embedSome(target)) || found;
    if (!found) await this.#pruneSometimes();
    return found;
  }

  async #look(): Promise<void> {
    const now = performance.now();
    if (now - this.#rewoundAt > REWIND_MS) {
      this.#done = new Map();
      this.#avoided.clear();
      this.#rewoundAt = now;
    }
    if (now - this.#lookedAt < LOOK_MS) return;
    const [targets, peers] = await Promise.all([this.#options.changes.targets(), this.#options.peers()]);
    this.#targets = await this.#withRoom(targets);
    // One that comes back (a rollback) may have been forgotten in between, and is looked at from its snapshot on.
    const keys = new Set(targets.map(keyOf));
    for (const key of this.#done.keys()) if (!keys.has(key)) this.#done.delete(key);
    this.#peers = [...new Set([...peers, this.#options.name])];
    this.#lookedAt = now;
  }

  async #withRoom(targets: readonly DeltaTarget[]): Promise<DeltaTarget[]> {
    const { changes, maxChanged = MAX_CHANGED } = this.#options;
    const counts = await Promise.all(targets.map(({ catalogue, model }) => changes.numVectors(catalogue, model)));
    return targets.filter((_, i) => counts[i]! < maxChanged);
  }

  async #embedSome(target: DeltaTarget): Promise<boolean> {
    const { changes, name } = this.#options;
    const key = keyOf(target);
    const after = this.#done.get(key) ?? target.sinceSeq;
    // Before the look: what comes after it is not known to be done.
    const last = await changes.lastSeq(target.catalogue);
    if (last <= after) return false;
    const page = await changes.unembedded(target, { after, limit: PAGE });
    this.#done.set(key, page[0] === undefined ? last : page[0].seq - 1);
    const images = new Set(page.map(({ image }) => image));
    const isMine = (image: string): boolean =>
      ownerOf(image, this.#peers) === name && !((this.#avoided.get(image) ?? 0) > performance.now());
    const mine = [...images].filter(isMine).slice(0, BATCH);
    if (mine.length === 0) return false;
    const vectors = await this.#embed(target.model, mine);
    if (vectors.length > 0) await changes.putVectors(target.catalogue, target.model, vectors);
    return true;
  }

  /** Without those whose bytes cannot be had now. */
  async #embed(model: string, images: string[]): Promise<PictureVector[]> {
    const read = await Promise.all(images.map((image) => this.#read(image)));
    const lost = read.flatMap((one) => (one !== undefined && 'reason' in one ? [one] : []));
    const pictures = read.flatMap((one) => (one !== undefined && 'bytes' in one ? [one] : []));
    const { signal } = this.#stop;
    const results = await this.#options.embedder.embed(
      model,
      pictures.map(({ bytes }) => bytes),
      { priority: 'changed', signal },
    );
    const made = results.map((result, i): PictureVector => {
      const { image } = pictures[i]!;
      if ('rejected' in result) return { image, vector: null, reason: result.rejected };
      return { image, vector: result.vectors[0]! };
    });
    return [...lost, ...made];
  }

  /** A picture that is lost for good cannot be used; one whose store does not answer is left alone for a while, and holds up no other. */
  async #read(
    image: string,
  ): Promise<{ image: string; bytes: Buffer } | (PictureVector & { vector: null }) | undefined> {
    try {
      return { image, bytes: await this.#options.blobs.get(image) };
    } catch (error) {
      const isLost = isLookalikeError(error) && !error.retryable;
      this.#options.logger?.warn({ err: error, image, isLost }, 'a changed picture could not be read');
      if (isLost) return { image, vector: null, reason: error.message };
      this.#avoided.set(image, performance.now() + AVOID_MS);
      return undefined;
    }
  }

  async #pruneSometimes(): Promise<void> {
    if (performance.now() - this.#prunedAt < PRUNE_MS) return;
    this.#prunedAt = performance.now();
    for (const catalogue of new Set(this.#targets.map((target) => target.catalogue))) {
      const pruned = await this.#options.changes.prune(catalogue).catch((error: unknown) => errorMessage(error));
      if (pruned !== 0) this.#options.logger?.info({ catalogue, pruned }, 'forgot what no index needs any more');
    }
  }
}

const keyOf = (target: DeltaTarget): string => JSON.stringify(target);
