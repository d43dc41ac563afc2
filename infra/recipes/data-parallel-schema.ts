import { z } from 'zod';
import { MAX_REPLICAS, MAX_SHARDS } from '../../contracts/training.ts';
import type { DataParallelConfig, TrainConfig } from '../../contracts/training.ts';
import { usesProxies } from '../../lib/train/losses/index.ts';

const steps = z.int().min(1).max(1_000);

export const DataParallelSchema = z.strictObject({
  replicas: z.int().min(1).max(MAX_REPLICAS),
  exchange: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('parameterServer'), shards: z.int().min(1).max(MAX_SHARDS) }),
    z.strictObject({
      kind: z.literal('allReduce'),
      bucketBytes: z
        .int()
        .min(4_096)
        .max(2 ** 30),
    }),
  ]),
  mode: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('sync'),
      backups: z
        .int()
        .min(0)
        .max(MAX_REPLICAS - 1),
    }),
    z.strictObject({ kind: z.literal('ssp'), staleness: z.int().min(0).max(1_000) }),
    z.strictObject({ kind: z.literal('async'), pushEvery: steps, fetchEvery: steps }),
  ]),
  compression: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('none') }),
    z.strictObject({ kind: z.literal('fp16') }),
    z.strictObject({ kind: z.literal('topK'), share: z.number().gt(0).max(1) }),
    z.strictObject({ kind: z.literal('oneBit') }),
  ]),
}) satisfies z.ZodType<DataParallelConfig>;

/** What a training cannot be made of: where it says so, and the sentence. */
export interface Contradiction {
  path: string[];
  message: string;
}

/** Why a training cannot be spread the way its configuration says; empty when it can. */
export function contradictionsOf(
  train: Pick<TrainConfig, 'strategy' | 'dataParallel' | 'labelsPerBatch' | 'loss'>,
): Contradiction[] {
  const { strategy, dataParallel, labelsPerBatch, loss } = train;
  if (strategy !== 'dataParallel') {
    if (dataParallel === undefined) return [];
    return [{ path: ['strategy'], message: 'train.dataParallel says how strategy dataParallel works; choose it' }];
  }
  if (dataParallel === undefined) {
    return [{ path: ['dataParallel'], message: 'strategy dataParallel needs to know its replicas, exchange and mode' }];
  }
  const { replicas, mode, exchange, compression } = dataParallel;
  const at = (key: string, message: string): Contradiction => ({ path: ['dataParallel', ...key.split('.')], message });
  const found: Contradiction[] = [];
  if (labelsPerBatch % replicas !== 0) {
    found.push(at('replicas', `must divide train.labelsPerBatch (${labelsPerBatch}) without rest: one slice each`));
  } else if (!usesProxies(loss) && labelsPerBatch / replicas < 2) {
    const most = Math.floor(labelsPerBatch / 2);
    found.push(
      at('replicas', `a loss over pairs compares labels within a slice and needs 2 in each: at most ${most} replicas`),
    );
  }
  if (mode.kind === 'sync' && mode.backups >= replicas) {
    found.push(at('mode.backups', `must stay below the replicas (${replicas}), or no slice would count`));
  }
  if (exchange.kind === 'allReduce') {
    if (mode.kind !== 'sync') {
      found.push(at('exchange.kind', `a ring of replicas goes in step: mode ${mode.kind} needs parameterServer`));
    } else if (mode.backups > 0) {
      found.push(
        at('mode.backups', 'must be 0: a ring waits for all its replicas, parameterServer can go on without some'),
      );
    }
    if (compression.kind === 'topK' || compression.kind === 'oneBit') {
      const why =
        'a ring adds on the way, and what it adds has to be numbers: none or fp16; others need parameterServer';
      found.push(at('compression.kind', why));
    }
  }
  return found;
}
