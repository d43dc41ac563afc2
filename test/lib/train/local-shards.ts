import { LookalikeError } from '../../../contracts/errors.ts';
import type { TrainConfig } from '../../../contracts/training.ts';
import { partition, shardConfigsOf } from '../../../lib/sync/layout.ts';
import { ParameterShard } from '../../../lib/sync/parameter-shard.ts';
import type { ParameterClient, ParameterLayout, ShardConfig, ShardSeed } from '../../../lib/sync/protocol.ts';
import { headLayout, planOf } from '../../../lib/train/data-parallel-plan.ts';
import type { HeadShape } from '../../../lib/train/head-model.ts';

/** All parameter shards of a run in this process, which tests delay, lose and count. */
export class LocalShards {
  readonly layout: ParameterLayout;
  readonly #configs: ShardConfig[];
  readonly #held: { shard: ParameterShard; incarnation: number }[];
  #incarnation = 0;

  constructor(config: TrainConfig, shape: HeadShape) {
    const { exchange } = config.dataParallel!;
    this.layout = headLayout(config, shape);
    const numShards = exchange.kind === 'parameterServer' ? exchange.shards : 1;
    this.#configs = shardConfigsOf(this.layout, numShards, planOf(config).shard);
    this.#held = this.#configs.map((own) => ({ shard: new ParameterShard(own), incarnation: 0 }));
  }

  statistics(shard = 0) {
    return this.#held[shard]!.shard.statistics();
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** As if its process had been killed and started again. */
  lose(shard: number): void {
    this.#held[shard]!.shard.abort(new LookalikeError('unavailable', 'The shard went away.'));
    this.#held[shard] = { shard: new ParameterShard(this.#configs[shard]!), incarnation: 0 };
  }

  /** @param delay awaited before each request reaches its shard */
  connect(delay: () => Promise<void> = () => Promise.resolve()): ParameterClient {
    const ranges = partition(this.layout.length, this.#held.length);
    let known = this.#incarnation;
    const each = <T>(ask: (shard: ParameterShard, index: number) => Promise<T> | T): Promise<T[]> =>
      Promise.all(
        this.#held.map(async (_, index) => {
          await delay();
          const { shard, incarnation } = this.#held[index]!;
          if (incarnation !== known)
            throw new LookalikeError('conflict', 'This client belongs to another incarnation.');
          return ask(shard, index);
        }),
      );
    const joined = (parts: Float32Array[]): Float32Array => {
      const whole = new Float32Array(this.layout.length);
      parts.forEach((part, i) => whole.set(part, ranges[i]!.start));
      return whole;
    };
    const cut = (vector: Float32Array, i: number): Float32Array => vector.slice(ranges[i]!.start, ranges[i]!.end);
    return {
      layout: this.layout,
      async pull(request) {
        const parts = await each((shard) => shard.pull(request));
        return { version: Math.min(...parts.map((p) => p.version)), values: joined(parts.map((p) => p.values)) };
      },
      async push(push) {
        const outcomes = await each((shard, i) => shard.push({ ...push, gradient: cut(push.gradient, i) }));
        return outcomes[0]!;
      },
      async snapshot(step, signal) {
        const parts = await each((shard) => shard.snapshot(step, signal));
        const of = (key: 'values' | 'firstMoments' | 'secondMoments') => joined(parts.map((part) => part[key]));
        return { step, values: of('values'), firstMoments: of('firstMoments'), secondMoments: of('secondMoments') };
      },
      seed: (state: ShardSeed) => {
        known = ++this.#incarnation;
        this.#held.forEach((held, i) => {
          const { step, values, firstMoments, secondMoments } = state;
          held.shard.seed({
            step,
            values: cut(values, i),
            firstMoments: cut(firstMoments, i),
            secondMoments: cut(secondMoments, i),
          });
          held.incarnation = known;
        });
        return Promise.resolve();
      },
      status: () => {
        known = this.#incarnation;
        return Promise.resolve(
          this.#held.map(({ shard, incarnation }) => ({ incarnation, statistics: shard.statistics() })),
        );
      },
      traffic: () => ({ sentBytes: 0, receivedBytes: 0, waitSeconds: 0 }),
      close: () => Promise.resolve(),
    };
  }
}
