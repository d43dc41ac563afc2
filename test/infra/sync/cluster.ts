import { createHash } from 'node:crypto';
import { createParameterClient } from '../../../infra/sync/parameter-client.ts';
import type { ParameterClientOptions } from '../../../infra/sync/parameter-client.ts';
import { createParameterServer } from '../../../infra/sync/parameter-server.ts';
import type { ParameterServer } from '../../../infra/sync/parameter-server.ts';
import { createPushEncoders } from '../../../infra/sync/push-encoders.ts';
import type { Compression } from '../../../lib/sync/compression/index.ts';
import { createLayout, partition, shardConfigsOf } from '../../../lib/sync/layout.ts';
import { ParameterShard } from '../../../lib/sync/parameter-shard.ts';
import type { ParameterClient, Push, ShardConfig, ShardSeed } from '../../../lib/sync/protocol.ts';

export const TOKEN = 'the secret of these tests';
export const RUN = 'train/test';

export const SHARED: Omit<ShardConfig, 'range' | 'decayRanges'> = {
  numSlices: 1,
  consistency: { kind: 'clocked', staleness: 0, backups: 0 },
  optimizer: { kind: 'adam', momentum: 0.9, weightDecay: 0.01 },
  checkpointEverySteps: 2,
};

export const layoutOf = (length: number): ReturnType<typeof createLayout> =>
  createLayout([{ name: 'w', length, decays: true }]);

/** The shards of one run in this process, each behind its own socket. */
export interface Cluster {
  readonly servers: ParameterServer[];
  readonly length: number;
  /** Where clients look; tests put other places in. */
  readonly urls: string[];
  connect(options?: Partial<ParameterClientOptions> & { compression?: Compression }): ParameterClient;
  /** Stops a shard and starts it elsewhere, without its state. */
  replace(shard: number): Promise<void>;
  close(): Promise<void>;
}

export async function startCluster({
  length = 100,
  numShards = 2,
  shared = {},
  holdMs,
  host = '127.0.0.1',
}: {
  length?: number;
  numShards?: number;
  shared?: Partial<typeof SHARED>;
  holdMs?: number;
  host?: string;
} = {}): Promise<Cluster> {
  const layout = layoutOf(length);
  const shards = shardConfigsOf(layout, numShards, { ...SHARED, ...shared });
  const start = (index: number): Promise<ParameterServer> =>
    createParameterServer({
      config: { dataPlane: { host, token: TOKEN } },
      run: RUN,
      index,
      shard: shards[index]!,
      holdMs,
    });
  const servers = await Promise.all(shards.map((_, index) => start(index)));
  const urls = servers.map(({ url }) => url);
  const clients: ParameterClient[] = [];
  return {
    servers,
    length,
    urls,
    connect({ compression, ...options } = {}) {
      const client = createParameterClient({
        token: TOKEN,
        run: RUN,
        layout,
        numShards,
        endpoints: async () => urls.map((url, shard) => ({ shard, url })),
        encoders: createPushEncoders(compression ?? { kind: 'none' }, partition(length, numShards)),
        ...options,
      });
      clients.push(client);
      return client;
    },
    async replace(shard) {
      await servers[shard]!.close();
      servers[shard] = await start(shard);
      urls[shard] = servers[shard].url;
    },
    async close() {
      await Promise.all(clients.map((client) => client.close()));
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

export const seedOf = (length: number, step = 0): ShardSeed => ({
  step,
  values: Float32Array.from({ length }, (_, i) => Math.sin(i)),
  firstMoments: new Float32Array(length),
  secondMoments: new Float32Array(length),
});

/** A gradient that depends on nothing but its slice and step. */
export const pushOf = (length: number, step: number, slice = 0, version = step): Push => ({
  slice,
  step,
  version,
  weight: 1 + slice,
  learningRate: 0.01,
  gradient: Float32Array.from({ length }, (_, i) => Math.cos(i * 7 + step * 13 + slice * 29)),
});

/** The oracle: one shard of everything, in memory, without frames or sockets. */
export async function trainInMemory(length: number, numSteps: number, shared = SHARED): Promise<Float32Array> {
  const [whole] = shardConfigsOf(layoutOf(length), 1, shared);
  const shard = new ParameterShard(whole!);
  shard.seed(seedOf(length));
  for (let step = 0; step < numSteps; step++) {
    for (let slice = 0; slice < shared.numSlices; slice++) shard.push(pushOf(length, step, slice));
  }
  return (await shard.pull({ step: numSteps })).values;
}

/** Equal for equal bits: comparing element by element takes the runner longer than training. */
export const bitsOf = (values: Float32Array): string => createHash('sha256').update(values).digest('hex');

/** One slice's part of a run. */
export async function train(client: ParameterClient, from: number, to: number, slice = 0): Promise<void> {
  const { length } = client.layout;
  for (let step = from; step < to; step++) {
    const { version } = await client.pull({ step });
    await client.push(pushOf(length, step, slice, version));
  }
}
