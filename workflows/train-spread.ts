import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { FIRST_STAGE, partId } from '../contracts/data-parallel.ts';
import type { ParameterShardInput, PlacedPart, StageOutput, TrainingStage } from '../contracts/data-parallel.ts';
import type { DataParallelConfig } from '../contracts/training.ts';
import type { TrainInput, TrainOutput } from '../contracts/workflows.ts';
import { MAX_PART_ATTEMPTS, parameters, replicas, trainingRecords } from './activity-options.ts';
import { failureCode, rootMessage } from './failure.ts';
import { partPlacedSignal } from './messages.ts';
import { describePlaces, describeSpread } from './policy/describe-spread.ts';

/**
 * One head, its batches divided among replicas that meet at parameter shards. Each replica and each shard is an activity, taken by
 * any trainer with room. A lost one is started again, on whatever trainer lives, and the others wait for it; retries add nothing to
 * the history. What trying again cannot help, in any part, ends the run with that reason. When the lead is done, when the run fails
 * and on cancel, the other parts are stopped and waited for: none outlives the run. Bounded: an activity per part and stage, and a
 * signal for each change of host.
 */
export async function trainSpread(train: TrainInput, spread: DataParallelConfig, about: string): Promise<TrainOutput> {
  const numbers = numbersOf(spread);
  let run = '';
  let placed: PlacedPart[] = [];
  let saying = '';
  const describe = (): void =>
    setCurrentDetails(`${about}\n\n${saying} ${describeSpread(spread)}\n\n${describePlaces(numbers, placed)}`);
  setHandler(partPlacedSignal, (part) => {
    // A part of the stage before may speak up late.
    if (part.run !== run) return;
    placed = [...placed.filter(({ role, index }) => role !== part.role || index !== part.index), part];
    describe();
  });

  let stage: TrainingStage = FIRST_STAGE;
  for (;;) {
    run = `${workflowInfo().runId}/${stage.kind}`;
    placed = [];
    saying =
      stage.kind === 'judged' ? 'The model that is judged.' : 'Judged; now the model that learns from all items.';
    describe();
    const { output, next }: StageOutput = await runStage({ run, stage, train }, numbers);
    if (next === null) return output;
    stage = next;
  }
}

type StageInput = Omit<ParameterShardInput, 'shard'>;

async function runStage(stage: StageInput, numbers: { replicas: number; parameters: number }): Promise<StageOutput> {
  const parts: Promise<unknown>[] = [];
  const scope = new CancellationScope();
  try {
    return await scope.run(async () => {
      for (let shard = 0; shard < numbers.parameters; shard += 1) {
        parts.push(part(`Parameter shard ${shard} of ${numbers.parameters}`, serve({ ...stage, shard }, numbers)));
      }
      const trained = Array.from({ length: numbers.replicas }, (_, rank) =>
        part(`Replica ${rank} of ${numbers.replicas}`, compute({ ...stage, rank }, numbers)),
      );
      parts.push(...trained);
      // The lead's result or anybody's failure, whichever comes first.
      const failure = Promise.all(parts).then(() => trained[0]!);
      const ended = await Promise.race([trained[0]!, failure]);
      if (ended === null) throw ApplicationFailure.nonRetryable('Expected the lead to end the stage, got nothing.');
      return ended;
    });
  } catch (error) {
    // Parts that a cancel finds in the middle of being lost do not end as cancelled.
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('Cancelled on request.');
    throw error;
  } finally {
    scope.cancel();
    await Promise.allSettled(parts);
    await CancellationScope.nonCancellable(() => forget(stage.run));
  }
}

function serve(input: ParameterShardInput, { parameters: of }: { parameters: number }): Promise<void> {
  const { shard } = input;
  const options = { activityId: partId('parameters', shard), summary: `Parameter shard ${shard} of ${of}` };
  return parameters.serveParameters.executeWithOptions(options, [input]);
}

function compute(input: StageInput & { rank: number }, numbers: { replicas: number }): Promise<StageOutput | null> {
  const { rank } = input;
  const summary = `Replica ${rank} of ${numbers.replicas}${rank === 0 ? ', which leads' : ''}`;
  return replicas.trainReplica.executeWithOptions({ activityId: partId('replica', rank), summary }, [input]);
}

/** One part's outcome; that it was lost too often is said in words, with what happened last. */
async function part<T>(name: string, outcome: Promise<T>): Promise<T> {
  try {
    return await outcome;
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    if (error.retryState !== 'MAXIMUM_ATTEMPTS_REACHED') throw error;
    throw ApplicationFailure.nonRetryable(
      `${name} was started ${MAX_PART_ATTEMPTS} times and lost each time; at last: ${rootMessage(error)}`,
      failureCode(error) ?? 'unavailable',
    );
  }
}

/** A row too many does no harm, and must not cost a finished training. */
async function forget(run: string): Promise<void> {
  await trainingRecords.forgetTraining({ run }).catch((error: unknown) => {
    log.warn('Could not forget where the parts of a training were', { run, why: rootMessage(error) });
  });
}

function numbersOf({ replicas: number, exchange }: DataParallelConfig): { replicas: number; parameters: number } {
  return { replicas: number, parameters: exchange.kind === 'parameterServer' ? exchange.shards : 0 };
}
