import { encodedBytes } from '../sync/compression/index.ts';
import { computeTimes } from './compute-times.ts';
import type { Prediction, Scenario } from './setup.ts';

/**
 * Ring all-reduce: 2 (n - 1) rounds, each of which moves 1/n of the gradient over every link at once (Patarasuk & Yuan 2009). Every
 * step waits for its slowest replica; what is sent while the backward pass still runs costs nothing, but for the last bucket.
 */
export function simulateRing({ workload, cluster, strategy, numSteps, seed }: Scenario): Prediction {
  const { replicas, bitsPerSecond, messageSeconds, frameSeconds, codecSecondsPerParameter } = cluster;
  const { numParameters, computeSeconds, backwardShare } = workload;
  const bytes = encodedBytes(strategy.compression, numParameters);
  const bucketBytes = strategy.exchange.kind === 'allReduce' ? Math.min(bytes, strategy.exchange.bucketBytes) : bytes;
  const buckets = Math.max(1, Math.ceil(bytes / bucketBytes));
  const rounds = 2 * (replicas - 1);
  const perBucket = rounds * (messageSeconds + frameSeconds + ((bucketBytes / replicas) * 8) / bitsPerSecond);
  const codec = codecSecondsPerParameter * numParameters;
  // Values and moments are updated by every replica itself.
  const update = (numParameters * 4) / cluster.updateBytesPerSecond;
  const times = computeTimes(computeSeconds, cluster.stragglers, seed);
  let elapsed = 0;
  let computed = 0;
  for (let step = 0; step < numSteps; step++) {
    let slowest = 0;
    for (let replica = 0; replica < replicas; replica++) {
      const own = times(replica, step);
      computed += own;
      slowest = Math.max(slowest, own);
    }
    const exchange = replicas === 1 ? 0 : buckets * perBucket + codec;
    const hidden = Math.min(exchange - (replicas === 1 ? 0 : perBucket), slowest * backwardShare);
    elapsed += slowest + exchange - Math.max(0, hidden) + update;
  }
  const slicesPerSecond = (replicas * numSteps) / elapsed;
  return {
    slicesPerSecond,
    efficiency: (slicesPerSecond * computeSeconds) / replicas,
    waitShare: 1 - computed / (elapsed * replicas),
    bytesPerStep: replicas === 1 ? 0 : (2 * 2 * (replicas - 1) * bytes) / replicas,
    meanStaleness: 0,
    droppedShare: 0,
  };
}
