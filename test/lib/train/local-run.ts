import * as tf from '@tensorflow/tfjs';
import { expect } from 'vitest';
import type { DataParallelConfig, TrainConfig } from '../../../contracts/training.ts';
import { flatten, shardConfigsOf, unflatten } from '../../../lib/sync/layout.ts';
import { createOptimizer } from '../../../lib/sync/optimizer.ts';
import type { ParameterClient } from '../../../lib/sync/protocol.ts';
import { headLayout, planOf } from '../../../lib/train/data-parallel-plan.ts';
import { FlatHead } from '../../../lib/train/flat-head.ts';
import { initialValues } from '../../../lib/train/head-model.ts';
import type { HeadShape } from '../../../lib/train/head-model.ts';
import { HeadProgram } from '../../../lib/train/head-program.ts';
import type { TrainedHead } from '../../../lib/train/head-program.ts';
import { Lead } from '../../../lib/train/lead.ts';
import { randomOf } from '../../../lib/train/random.ts';
import type { StepReport } from '../../../lib/train/train-head.ts';
import { trainReplica } from '../../../lib/train/train-replica.ts';
import { EpochRecord } from '../../../lib/train/train-state.ts';
import type { TrainState } from '../../../lib/train/train-state.ts';
import { LocalShards } from '../sync/local-shards.ts';
import { CONFIG, noisyClusters } from './noisy-clusters.ts';

export const data = noisyClusters();
export const SYNC: DataParallelConfig = {
  replicas: 3,
  exchange: { kind: 'parameterServer', shards: 2 },
  mode: { kind: 'sync', backups: 0 },
  compression: { kind: 'none' },
};
export const parallel = (change: Partial<DataParallelConfig> = {}, train: Partial<TrainConfig> = {}): TrainConfig => ({
  ...CONFIG,
  ...train,
  strategy: 'dataParallel',
  dataParallel: { ...SYNC, ...change },
});

/** What the replicas of a run exchange gradients by. */
export interface LocalExchange {
  /** @param delay awaited before each request, where there are any */
  connect(rank: number, delay: () => Promise<void>, signal?: AbortSignal): Promise<ParameterClient>;
  /** A replica's process is gone, with all that it held. */
  kill?(rank: number): Promise<void> | void;
}

export interface RunOptions {
  from?: TrainState;
  onCheckpoint?: (state: TrainState) => void;
  /** May throw `Killed` for a replica to be killed: it starts again. */
  onStep?: (rank: number, report: StepReport) => void;
  wrap?: (client: ParameterClient, rank: number) => ParameterClient;
  /** Decides how the replicas' requests interleave. */
  order?: number;
}

export class Killed extends Error {}

export function shardsOf(config: TrainConfig, shape: HeadShape): LocalShards {
  const layout = headLayout(config, shape);
  const { exchange } = config.dataParallel!;
  const numShards = exchange.kind === 'parameterServer' ? exchange.shards : 1;
  return new LocalShards(layout, shardConfigsOf(layout, numShards, planOf(config).shard));
}

/** A whole run with shared shards. `onStep` may lose some of them. */
export async function run(
  config: TrainConfig,
  {
    onStep,
    ...options
  }: Omit<RunOptions, 'onStep'> & { onStep?: (rank: number, report: StepReport, shards: LocalShards) => void } = {},
): Promise<TrainedHead & { shards: LocalShards }> {
  const shards = shardsOf(config, new HeadProgram(tf, data, config).shape);
  const exchange: LocalExchange = { connect: (_, delay) => Promise.resolve(shards.connect({ delay })) };
  const head = await trainOver(exchange, config, {
    ...options,
    onStep: (rank, report) => onStep?.(rank, report, shards),
  });
  return { ...head, shards };
}

/** A whole run: every replica with a client of its own, requests in an order drawn from `order`. */
export async function trainOver(
  exchange: LocalExchange,
  config: TrainConfig,
  { from, onCheckpoint, onStep, wrap = (client) => client, order }: RunOptions = {},
): Promise<TrainedHead> {
  const plan = planOf(config);
  const program = new HeadProgram(tf, data, config);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const over = new AbortController();
  let durable = from;
  const replica = async (rank: number): Promise<TrainedHead | null> => {
    const random = randomOf('order', order ?? 0, rank);
    const delay = async (): Promise<void> => {
      if (order !== undefined) for (let turns = Math.floor(random() * 4); turns > 0; turns--) await turn();
    };
    for (;;) {
      const lead =
        rank > 0
          ? undefined
          : new Lead({
              program,
              plan,
              ...(durable && { from: durable }),
              onCheckpoint: (state) => {
                durable = structuredClone(state);
                onCheckpoint?.(durable);
                return Promise.resolve();
              },
            });
      try {
        await trainReplica({
          program,
          plan,
          rank,
          ...(lead && { lead }),
          signal: over.signal,
          pause: async (_, signal) => {
            await turn();
            signal?.throwIfAborted();
          },
          connect: async (signal) => wrap(await exchange.connect(rank, delay, signal), rank),
          onStep: async (report) => {
            onStep?.(rank, report);
            await delay();
          },
        });
        return lead?.finish() ?? null;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        await exchange.kill?.(rank);
      }
    }
  };
  const followers = Array.from({ length: plan.numSlices - 1 }, (_, i) => replica(i + 1));
  const ends = Promise.allSettled(followers);
  const leads = replica(0);
  await Promise.race([leads, Promise.all(followers)]);
  const head = (await leads)!;
  over.abort();
  for (const end of await ends) expect(end).toMatchObject({ reason: { code: 'cancelled' } });
  return head;
}

/** Largest difference between two heads, relative to the larger one's size. */
export function distance(a: TrainedHead, b: TrainedHead): number {
  return Math.hypot(...a.kernel.map((value, i) => value - b.kernel[i]!)) / Math.hypot(...b.kernel);
}

/** Textbook order, without shards or clients: each step's slices one after the other, their weighted mean, one update. */
export function oneWorker(config: TrainConfig): TrainedHead {
  const { numSlices, shard } = planOf(config);
  const program = new HeadProgram(tf, data, config);
  const head = new FlatHead(program);
  const { layout } = head;
  const decaying = layout.entries.filter(({ decays }) => decays);
  const update = createOptimizer(
    shard.optimizer,
    decaying.map(({ offset, length }) => ({ start: offset, end: offset + length })),
    layout.length,
  );
  const values = flatten(layout, initialValues(config, program.shape));
  const state = { values, firstMoments: values.map(() => 0), secondMoments: values.map(() => 0) };
  const epochs = new EpochRecord(config, program.canJudge);
  for (let step = 0; step < program.numSteps; step++) {
    const slices = Array.from({ length: numSlices }, (_, slice) =>
      head.gradient(state.values.slice(), step, slice, numSlices),
    );
    const total = slices.reduce((sum, { weight }) => sum + weight, 0);
    const mean = values.map(
      (_, i) => slices.reduce((sum, { weight, gradient }) => sum + weight * gradient[i]!, 0) / total,
    );
    update(state, mean, { learningRate: program.learningRateAt(step), numUpdates: step });
    if ((step + 1) % program.stepsPerEpoch > 0) continue;
    epochs.add(head.recall(state.values.slice()), () => structuredClone(unflatten(layout, state.values)));
  }
  head.dispose();
  return program.finish(epochs);
}

export const bytesOf = ({ shards: _, ...head }: TrainedHead & { shards?: LocalShards }): TrainedHead => head;
