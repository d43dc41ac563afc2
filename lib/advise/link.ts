import type { Cluster } from './setup.ts';

/**
 * All shards' links in one direction: first come, first served. A transfer cannot be faster than one replica's own link, and all
 * together not faster than the shards'.
 */
export class Link {
  readonly #cluster: Cluster;
  readonly #shards: number;
  #free = 0;

  constructor(cluster: Cluster, shards: number) {
    this.#cluster = cluster;
    this.#shards = shards;
  }

  /** When `bytes` that set out at `from` have arrived as a whole. */
  transfer(from: number, bytes: number): number {
    const { bitsPerSecond, messageSeconds, frameSeconds, byteSeconds } = this.#cluster;
    const onWire = (bytes * 8) / bitsPerSecond;
    // A replica makes one message for each shard; a shard takes one of each replica.
    const atShard = (bytes * byteSeconds) / this.#shards;
    const own = onWire + frameSeconds * this.#shards + bytes * byteSeconds + atShard;
    this.#free = Math.max(this.#free, from) + onWire / this.#shards + frameSeconds + atShard;
    return Math.max(from + own, this.#free) + messageSeconds;
  }
}
