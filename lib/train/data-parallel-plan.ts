import { LookalikeError } from '../../contracts/errors.ts';
import type { DataParallelConfig, TrainConfig } from '../../contracts/training.ts';
import { createLayout } from '../sync/layout.ts';
import type { Consistency, ParameterLayout, ShardConfig } from '../sync/protocol.ts';
import { decays, parameterShapes } from './head-model.ts';
import type { HeadShape } from './head-model.ts';

/**
 * How a run is cut into slices and pushes. Two counts of progress: a step is one global batch, of which a slice is a part;
 * shards count what they apply, which is steps where they are clocked and single pushes where they are not.
 */
export interface DataParallelPlan {
  numSlices: number;
  mode: DataParallelConfig['mode'];
  /** What every shard of the run has in common. */
  shard: Omit<ShardConfig, 'range' | 'decayRanges'>;
  /** How far a slice may be ahead of the slowest; 0 where nothing is clocked. */
  staleness: number;
  /**
   * Whether the run is a pure function of data and configuration, whatever happens to its processes. Lossy compression that carries
   * over what it left out is not: that dies with its replica.
   */
  isExact: boolean;
  /** Shards' count <-> steps; rounded where pushes do not fall on steps. */
  stepOf(applied: number): number;
  appliedOf(step: number): number;
}

/** @throws LookalikeError `invalidInput` when the configuration says nothing of data parallelism */
export function planOf({ dataParallel, optimizer, checkpointEverySteps }: TrainConfig): DataParallelPlan {
  if (dataParallel === undefined) {
    throw new LookalikeError(
      'invalidInput',
      'Expected train.dataParallel for the strategy `dataParallel`, got none. Say how many replicas there are.',
    );
  }
  const { mode, compression, replicas: numSlices } = dataParallel;
  const { kind, momentum, weightDecay } = optimizer;
  const consistency: Consistency =
    mode.kind === 'async'
      ? { kind: 'immediate' }
      : {
          kind: 'clocked',
          staleness: mode.kind === 'ssp' ? mode.staleness : 0,
          backups: mode.kind === 'sync' ? mode.backups : 0,
        };
  const pushesPerStep = mode.kind === 'async' ? numSlices / mode.pushEvery : 1;
  const appliedOf = (step: number): number => Math.round(step * pushesPerStep);
  return {
    numSlices,
    mode,
    shard: {
      numSlices,
      consistency,
      optimizer: { kind, momentum, weightDecay },
      checkpointEverySteps: Math.max(1, appliedOf(checkpointEverySteps)),
    },
    staleness: consistency.kind === 'clocked' ? consistency.staleness : 0,
    isExact:
      consistency.kind === 'clocked' &&
      consistency.staleness === 0 &&
      consistency.backups === 0 &&
      ['none', 'fp16'].includes(compression.kind),
    stepOf: (applied) => Math.round(applied / pushesPerStep),
    appliedOf,
  };
}

/** Where a head's parameters lie in the flat vector. */
export function headLayout({ loss }: Pick<TrainConfig, 'loss'>, shape: HeadShape): ParameterLayout {
  return createLayout(
    parameterShapes(loss, shape).map(({ name, shape: own }) => ({
      name,
      length: own.reduce((product, size) => product * size, 1),
      decays: decays(name),
    })),
  );
}
