import type { TrainingShardEndpoint } from '../../../contracts/registry.ts';
import { RingNode } from '../../../infra/sync/ring-node.ts';
import type { RingNodeOptions } from '../../../infra/sync/ring-node.ts';
import type { RingPeer } from '../../../lib/sync/ring.ts';
import type { Rendezvous } from '../../lib/sync/local-ring.ts';
import { RUN, TOKEN } from './cluster.ts';

/** Where ranks say where they are; tests put other places in. */
export class MemoryDirectory {
  readonly rows = new Map<number, Required<TrainingShardEndpoint>>();

  async announceShard({ run, shard, url, attempt = 0 }: TrainingShardEndpoint): Promise<boolean> {
    if (attempt < (this.rows.get(shard)?.attempt ?? 0)) return false;
    this.rows.set(shard, { run, shard, url, attempt });
    return true;
  }

  async shards(): Promise<Required<TrainingShardEndpoint>[]> {
    return [...this.rows.values()];
  }

  /** As this rank sees it: itself where it is, others where `urls` says. */
  seenBy(rank: number, urls: ReadonlyMap<number, string>): RingNodeOptions['directory'] {
    return {
      announceShard: (endpoint) => this.announceShard(endpoint),
      shards: async () =>
        (await this.shards()).map((row) => ({ ...row, url: (row.shard !== rank && urls.get(row.shard)) || row.url })),
    };
  }
}

/** All ranks of a run in this process, each behind a socket of its own. */
export class SocketRings implements Rendezvous {
  readonly directory = new MemoryDirectory();
  /** In place of what a rank says of itself. */
  readonly urls = new Map<number, string>();
  readonly nodes: RingNode[] = [];
  readonly #size: number;
  readonly #options: Partial<RingNodeOptions>;
  readonly #all: RingNode[] = [];

  private constructor(size: number, options: Partial<RingNodeOptions>) {
    this.#size = size;
    this.#options = options;
  }

  static async open(size: number, options: Partial<RingNodeOptions> = {}): Promise<SocketRings> {
    const rings = new SocketRings(size, options);
    for (let rank = 0; rank < size; rank++) await rings.start(rank);
    return rings;
  }

  /** One more process of this rank. */
  async start(rank: number, options: Partial<RingNodeOptions> = {}): Promise<RingNode> {
    const attempt = (this.directory.rows.get(rank)?.attempt ?? 0) + 1;
    const node = await RingNode.open({
      config: { dataPlane: { host: '127.0.0.1', token: TOKEN } },
      run: RUN,
      rank,
      size: this.#size,
      attempt,
      bucketBytes: 2 ** 20,
      directory: this.directory.seenBy(rank, this.urls),
      ...this.#options,
      ...options,
    });
    this.#all.push(node);
    return (this.nodes[rank] = node);
  }

  meet(rank: number, signal?: AbortSignal): Promise<RingPeer> {
    return this.nodes[rank]!.meet(signal);
  }

  meetAll(): Promise<RingPeer[]> {
    return Promise.all(this.nodes.map((node) => node.meet()));
  }

  async kill(rank: number): Promise<void> {
    await this.nodes[rank]!.close();
    await this.start(rank);
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((node) => node.close()));
  }
}
