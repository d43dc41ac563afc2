import { MAX_SHARDS } from '../../contracts/training.ts';
import { simulate } from './simulate.ts';
import type { Cluster, Prediction, Scenario, Workload } from './setup.ts';

type Strategy = Scenario['strategy'];

/** A strategy, what it is predicted to do, and whether its result is that of one machine, bit for bit or but for rounding. */
export interface Option {
  name: string;
  strategy: Strategy;
  isExact: boolean;
  prediction: Prediction;
}

export interface Advice {
  replicas: number;
  bitsPerSecond: number;
  /** Best first. */
  options: Option[];
  chosen: Option;
  why: string;
}

/** An exact strategy is preferred while it is at most this much slower: what others cost in steps cannot be foreseen. */
const WORTH_INEXACTNESS = 1.5;
/** Below this it is better to give each machine a run of its own. */
const POOR_EFFICIENCY = 0.5;

/**
 * Ranks strategies for each size and network by predicted slices per second, and chooses: an exact one unless an inexact one is
 * half as fast again. Throughput alone: inexact ones may need more steps for the same quality.
 */
export function adviseTraining(
  workload: Workload,
  base: Omit<Cluster, 'replicas' | 'bitsPerSecond'>,
  sizes: { replicas: readonly number[]; bitsPerSecond: readonly number[] },
  { numSteps = 60, seed = 1 }: { numSteps?: number; seed?: number } = {},
): Advice[] {
  return sizes.replicas.flatMap((replicas) =>
    sizes.bitsPerSecond.map((bitsPerSecond) => {
      const cluster = { ...base, replicas, bitsPerSecond };
      const options = strategiesFor(replicas, workload.numParameters).map((candidate) => {
        const codec = candidate.strategy.compression.kind === 'none' ? 0 : base.codecSecondsPerParameter;
        const prediction = simulate({
          workload,
          cluster: { ...cluster, codecSecondsPerParameter: codec },
          strategy: candidate.strategy,
          numSteps,
          seed,
        });
        return { ...candidate, prediction };
      });
      options.sort((a, b) => b.prediction.slicesPerSecond - a.prediction.slicesPerSecond);
      return { replicas, bitsPerSecond, options, ...choose(options) };
    }),
  );
}

function choose(options: readonly Option[]): Pick<Advice, 'chosen' | 'why'> {
  const best = options[0]!;
  const exact = options.find(({ isExact }) => isExact)!;
  const gain = best.prediction.slicesPerSecond / exact.prediction.slicesPerSecond;
  const isExact = gain < WORTH_INEXACTNESS;
  const chosen = isExact ? exact : best;
  const { efficiency, waitShare } = chosen.prediction;
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const because = isExact
    ? best === exact
      ? 'the fastest, and its result is that of one machine'
      : `${best.name} would be ${percent(gain - 1)} faster, which is not worth an inexact result`
    : `${percent(gain - 1)} faster than ${exact.name}; count the steps it needs for the same quality (bench train)`;
  const poor =
    efficiency < POOR_EFFICIENCY
      ? ` Replicas wait ${percent(waitShare)} of the time: fewer of them, larger slices or a faster network would serve better.`
      : '';
  return { chosen, why: `${because}.${poor}` };
}

/** What is compared: exchanges x modes x compressions that make sense together. */
function strategiesFor(replicas: number, numParameters: number): Omit<Option, 'prediction'>[] {
  const most = Math.min(replicas, MAX_SHARDS);
  const shards = [...new Set([1, Math.ceil(most / 4), most])];
  const sync = { kind: 'sync', backups: 0 } as const;
  const bucketBytes = Math.min(numParameters * 4, 4 << 20);
  const backups = Math.max(1, Math.round(replicas * 0.05));
  const ring = (compression: Strategy['compression'], isExact: boolean) => ({
    name: `ring, ${nameOf(compression)}`,
    isExact,
    strategy: { exchange: { kind: 'allReduce', bucketBytes } as const, mode: sync, compression },
  });
  const server = (
    count: number,
    mode: Strategy['mode'],
    compression: Strategy['compression'],
  ): Omit<Option, 'prediction'> => ({
    name: `${modeName(mode)}, ${count} shard${count === 1 ? '' : 's'}, ${nameOf(compression)}`,
    isExact: mode.kind === 'sync' && mode.backups === 0 && compression.kind === 'none',
    strategy: { exchange: { kind: 'parameterServer', shards: count }, mode, compression },
  });
  const none = { kind: 'none' } as const;
  const modes: Strategy['mode'][] = [
    sync,
    ...(replicas > 2 ? [{ kind: 'sync', backups } as const] : []),
    { kind: 'ssp', staleness: 4 },
    { kind: 'async', pushEvery: 1, fetchEvery: 1 },
  ];
  return [
    ring(none, true),
    ring({ kind: 'fp16' }, false),
    ...shards.flatMap((count) => modes.map((mode) => server(count, mode, none))),
    ...[{ kind: 'fp16' } as const, { kind: 'topK', share: 0.01 } as const, { kind: 'oneBit' } as const].map((each) =>
      server(most, sync, each),
    ),
  ];
}

function modeName(mode: Strategy['mode']): string {
  switch (mode.kind) {
    case 'sync':
      return mode.backups === 0 ? 'sync' : `sync with ${mode.backups} backup${mode.backups === 1 ? '' : 's'}`;
    case 'ssp':
      return `ssp of ${mode.staleness}`;
    case 'async':
      return 'async';
  }
}

function nameOf(compression: Strategy['compression']): string {
  const names = { none: 'float32', fp16: 'fp16', topK: 'top 1 %', oneBit: '1 bit' };
  return names[compression.kind];
}
