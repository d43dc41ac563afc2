import { FIRST_STAGE } from '../../contracts/data-parallel.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainConfig } from '../../contracts/training.ts';
import { MAX_CURVE_POINTS } from '../../contracts/tuning.ts';
import type { RungInput, RungOutput, TrialReport } from '../../contracts/tuning.ts';
import { trainHeadUntil } from '../../lib/train/train-head.ts';
import type { TrainState } from '../../lib/train/train-state.ts';
import type { Stores } from '../stores.ts';
import { readState } from './checkpoints.ts';
import { prepareStage, trainingDerivation } from './prepare-stage.ts';
import type { PreparedStage } from './prepare-stage.ts';
import { checkpointsIn, foundModel, trainUnlessFound } from './train-stage.ts';
import type { Strategy, TrainJob } from './train-stage.ts';

export type RungJob = Omit<TrainJob, 'input'> & { input: RungInput };

/**
 * One rung of one trial: the head that strategy `single` trains, paused after `untilEpoch` epochs with a checkpoint. What is decided by
 * the configuration is found by it: a model or a checkpoint that lies as far is not trained again, whoever made it, and the trained model
 * is that of an uninterrupted training. Only the judged head is trained; one of all items is for the best trial alone.
 * @throws LookalikeError `invalidInput` where nothing can be learnt or judged; else as `trainStage`
 */
export async function trainRung(job: RungJob): Promise<RungOutput> {
  const { stores, input } = job;
  const { untilEpoch, origin, train } = input;
  const { why, ...prepared } = await prepareRung(stores, input);
  if (why !== null) throw new LookalikeError('invalidInput', `Nothing can be tuned. ${why}`);
  const found = await foundModel(stores, prepared.derivation);
  if (found !== null) return ended(stores, found.model, input, true);

  const checkpoints = checkpointsIn(stores, prepared.derivation);
  const onDamaged = (reason: string): void => job.logger.warn({ reason }, 'a checkpoint is not readable');
  const earlier = await checkpoints.latest(onDamaged);
  if (earlier !== undefined && earlier.state.recallByEpoch.length >= untilEpoch && untilEpoch < train.config.epochs) {
    return paused(earlier, input, true);
  }
  const start = earlier === undefined && origin !== undefined ? await readState(stores.artifacts, origin) : undefined;
  const strategy: Strategy = {
    share: 1,
    train: ({ tf, data }, config, from, hooks) => trainHeadUntil(tf, data, config, untilEpoch, from, hooks),
  };
  const output = await trainUnlessFound({ ...job, input: train }, { ...prepared, why }, strategy, start);
  if (output !== null) return ended(stores, output.model, input, false);
  const newest = await checkpoints.latest(onDamaged);
  if (newest === undefined) {
    throw new LookalikeError('unavailable', `Expected the checkpoint of epoch ${untilEpoch}, but none can be read.`);
  }
  return paused(newest, input, false);
}

/** What a training went on from decides its result like everything else. */
async function prepareRung(stores: Stores, { train, origin }: RungInput): Promise<PreparedStage> {
  const prepared = await prepareStage(stores, train, FIRST_STAGE);
  if (origin === undefined) return prepared;
  const derivation = trainingDerivation(train);
  return { ...prepared, derivation: { ...derivation, inputs: { ...derivation.inputs, origin } } };
}

function paused(
  { state, artifact }: { state: TrainState; artifact: string },
  { untilEpoch, train }: RungInput,
  reused: boolean,
): RungOutput {
  const recalls = state.recallByEpoch.slice(0, untilEpoch);
  return {
    reports: reportsOf(recalls, train.config),
    checkpoint: artifact,
    model: null,
    recall: null,
    reused,
  };
}

async function ended(
  stores: Stores,
  model: string,
  { untilEpoch, train }: RungInput,
  reused: boolean,
): Promise<RungOutput> {
  const { metrics } = (await stores.artifacts.get(model)).manifest;
  const recalls = metrics['recallByEpoch'] as number[];
  // Found whole, a model tells no more than was asked for: a rung is judged by what it would have shown.
  const isOver = recalls.length <= untilEpoch;
  return {
    reports: reportsOf(recalls.slice(0, untilEpoch), train.config),
    checkpoint: null,
    model: isOver ? model : null,
    recall: isOver ? (metrics['validationRecallAt1'] as number) : null,
    reused,
  };
}

/** The best until each of some epochs, the last one included; the more of the run they are, the more. */
export function reportsOf(recalls: readonly number[], { epochs }: Pick<TrainConfig, 'epochs'>): TrialReport[] {
  const numPoints = Math.max(1, Math.min(recalls.length, Math.ceil((MAX_CURVE_POINTS * recalls.length) / epochs)));
  const best: number[] = [];
  for (const recall of recalls) best.push(Math.max(recall, best.at(-1) ?? 0));
  const shown = Array.from({ length: numPoints }, (_, i) => Math.round(((i + 1) * recalls.length) / numPoints));
  return recalls.length === 0 ? [] : shown.map((epoch) => ({ epoch, value: best[epoch - 1]! }));
}
