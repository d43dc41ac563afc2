import type { SearchHost } from '../infra/data-plane/search-host.ts';

/**
 * Who needs which shard on this host. Invariant: a shard is loaded while it has an owner and unloaded after its last one left;
 * two generations may share a shard, and an owner that comes back within the time it was given finds its shard still loaded.
 */
export class ShardLeases {
  readonly #host: Pick<SearchHost, 'loadShard' | 'unloadShard'>;
  readonly #owners = new Map<string, Set<string>>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(host: Pick<SearchHost, 'loadShard' | 'unloadShard'>) {
    this.#host = host;
  }

  async acquire(owner: string, artifact: string): Promise<void> {
    this.#stopTimer(owner);
    const owners = this.#owners.get(artifact) ?? new Set();
    this.#owners.set(artifact, owners);
    owners.add(owner);
    try {
      await this.#host.loadShard(artifact);
    } catch (error) {
      await this.release(owner, artifact);
      throw error;
    }
  }

  async release(owner: string, artifact: string): Promise<void> {
    this.#stopTimer(owner);
    const owners = this.#owners.get(artifact);
    owners?.delete(owner);
    if (owners === undefined || owners.size > 0) return;
    this.#owners.delete(artifact);
    await this.#host.unloadShard(artifact);
  }

  /** Releases after `afterMs`, unless the owner acquires again before. */
  releaseLater(owner: string, artifact: string, afterMs: number): void {
    this.#stopTimer(owner);
    const timer = setTimeout(() => void this.release(owner, artifact).catch(() => undefined), afterMs).unref();
    this.#timers.set(owner, timer);
  }

  #stopTimer(owner: string): void {
    clearTimeout(this.#timers.get(owner));
    this.#timers.delete(owner);
  }
}
