import type { DeltaStatus } from '../../contracts/changes.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { LiveShard } from '../shards/live-shard.ts';
import type { ShardChange } from '../shards/live-shard.ts';
import { openShard } from '../shards/shard.ts';
import type { ShardFiles } from '../shards/shard.ts';

interface Held {
  shard: LiveShard;
  inUse: number;
  /** Called when the last user has gone. */
  drained: (() => void) | undefined;
}

/** The shards of one host. Invariant: a shard that somebody uses stays until they have released it. */
export class HeldShards {
  readonly #held = new Map<string, Held>();
  readonly #loading = new Map<string, Promise<void>>();

  list(): { artifact: string; size: number }[] {
    return [...this.#held].map(([artifact, { shard }]) => ({ artifact, size: shard.size }));
  }

  /** Idempotent, also while it is under way. @throws LookalikeError `corruptArtifact` */
  load(files: ShardFiles): Promise<void> {
    const { artifact } = files;
    if (this.#held.has(artifact)) return Promise.resolve();
    let loading = this.#loading.get(artifact);
    if (loading === undefined) {
      loading = openShard(files)
        .then((shard) => void this.#held.set(artifact, { shard: new LiveShard(shard), inUse: 0, drained: undefined }))
        .finally(() => this.#loading.delete(artifact));
      this.#loading.set(artifact, loading);
    }
    return loading;
  }

  /** What changed since a shard was built; one that is gone needs it no more. */
  apply(artifact: string, changes: readonly ShardChange[], status: Omit<DeltaStatus, 'numRows'>): void {
    this.#held.get(artifact)?.shard.apply(changes, status);
  }

  /** Refuses new users at once; resolves when the present ones have gone. */
  async unload(artifact: string): Promise<void> {
    await this.#loading.get(artifact)?.catch(() => undefined);
    const held = this.#held.get(artifact);
    if (held === undefined) return;
    this.#held.delete(artifact);
    if (held.inUse > 0) await new Promise<void>((resolve) => (held.drained = resolve));
  }

  /** @throws LookalikeError `notFound` when this host does not hold the artefact (any more) */
  async use<T>(artifact: string, work: (shard: LiveShard) => Promise<T>): Promise<T> {
    const held = this.#held.get(artifact);
    if (held === undefined) {
      const holds = [...this.#held.keys()].join(', ') || 'none';
      throw new LookalikeError('notFound', `Expected this host to hold shard ${artifact}, but it holds ${holds}.`);
    }
    held.inUse++;
    try {
      return await work(held.shard);
    } finally {
      held.inUse--;
      if (held.inUse === 0) held.drained?.();
    }
  }
}
