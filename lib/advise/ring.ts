import { encodedBytes } from '../sync/compression/index.ts';
import { computeTimes } from './compute-times.ts';
import type { Prediction, Scenario } from './setup.ts';

/**
 * Ring all-reduce: 2 (n - 1) rounds, each of which moves 1/n of the gradient over every link at once (Patarasuk & Yuan 2009). Every
 * step waits for its slowest replica, as gradients come all at once at its end; buckets go their rounds side by side, so that a link
 * carries one while another is on the way.
 */
export function simulateRing({ workload, cluster, strategy, numSteps, seed }: Scenario): Prediction {
  const { replicas, bitsPerSecond, messageSeconds, frameSeconds, byteSeconds, codecSecondsPerParameter } = cluster;
  const { numParameters, computeSeconds } = workload;
  const bytes = encodedBytes(strategy.compression, numParameters);
  const bucketBytes = strategy.exchange.kind === 'allReduce' ? Math.min(bytes, strategy.exchange.bucketBytes) : bytes;
  const buckets = Math.max(1, Math.ceil(bytes / bucketBytes));
  const rounds = 2 * (replicas - 1);
  // A rank prepares one chunk and takes another in while they travel.
  const onLink = frameSeconds + (bytes / buckets / replicas) * (8 / bitsPerSecond + 2 * byteSeconds);
  const allOnLink = buckets * onLink;
  const codec = codecSecondsPerParameter * numParameters;
  // A bucket starts its next round when it has come, or when the link is free of the others.
  const round = Math.max(messageSeconds + onLink, allOnLink);
  const exchange = replicas === 1 ? 0 : (rounds - 1) * round + messageSeconds + allOnLink + codec;
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
    elapsed += slowest + exchange + update;
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
