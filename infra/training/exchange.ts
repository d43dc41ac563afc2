import type { TrainConfig } from '../../contracts/training.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { decayRangesOf, partition } from '../../lib/sync/layout.ts';
import type { ParameterClient, ParameterLayout } from '../../lib/sync/protocol.ts';
import { RingMember } from '../../lib/sync/ring-member.ts';
import { planOf } from '../../lib/train/data-parallel-plan.ts';
import { createParameterClient } from '../sync/parameter-client.ts';
import { createPushEncoders } from '../sync/push-encoders.ts';
import { RingNode } from '../sync/ring-node.ts';
import type { RingNodeOptions } from '../sync/ring-node.ts';

/** Which replica of which run exchanges gradients, and what it may be told. */
export type ExchangeSite = Pick<RingNodeOptions, 'config' | 'run' | 'rank' | 'attempt' | 'logger'> & {
  /** Where shards, or ranks of a ring, say where they are. */
  directory: RingNodeOptions['directory'];
};

/**
 * Makes a replica's client, anew each time that it lost the one before; what has to outlive a client is kept in between.
 * @throws LookalikeError `invalidInput` for a compression that the exchange does not know
 */
export function createConnector(
  site: ExchangeSite,
  config: TrainConfig,
  layout: ParameterLayout,
): (signal?: AbortSignal) => Promise<ParameterClient> {
  const { exchange } = config.dataParallel!;
  return exchange.kind === 'allReduce'
    ? overRing(site, config, layout, exchange.bucketBytes)
    : toShards(site, config, layout, exchange.shards);
}

function toShards(
  { config: { dataPlane }, run, directory, logger }: ExchangeSite,
  config: TrainConfig,
  layout: ParameterLayout,
  numShards: number,
): ReturnType<typeof createConnector> {
  const { token } = dataPlane;
  // What compression has left out outlives a client.
  const encoders = createPushEncoders(config.dataParallel!.compression, partition(layout.length, numShards));
  const endpoints = () => directory.shards(run);
  return () => Promise.resolve(createParameterClient({ token, run, layout, numShards, endpoints, encoders, logger }));
}

/** The parameters, and the place where neighbours find this rank, outlive a ring. */
function overRing(
  site: ExchangeSite,
  config: TrainConfig,
  layout: ParameterLayout,
  bucketBytes: number,
): ReturnType<typeof createConnector> {
  const { replicas: size, compression } = config.dataParallel!;
  const { kind: encoding } = compression;
  if (encoding !== 'none' && encoding !== 'fp16') {
    const message = `Expected compression none or fp16 over a ring, got ${encoding}: choose the exchange parameterServer.`;
    throw new LookalikeError('invalidInput', message);
  }
  const member = new RingMember({
    layout,
    shard: planOf(config).shard,
    decayRanges: decayRangesOf(layout, { start: 0, end: layout.length }),
    encoding,
    bucketBytes,
    now: () => performance.now() / 1000,
  });
  let node: RingNode | undefined;
  return async (signal) => {
    // It closes with its process: the others would take it for a loss while the lead still publishes what all have learnt.
    node ??= await RingNode.open({ ...site, size, bucketBytes });
    return member.connect(await node.meet(signal), signal);
  };
}
