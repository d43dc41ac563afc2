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
import { FIRST_STAGE } from '../contracts/data-parallel.ts';
import type { PlacedPart, StageOutput, TrainingStage } from '../contracts/data-parallel.ts';
import type { TrainInput, TrainOutput } from '../contracts/workflows.ts';
import { MAX_PART_ATTEMPTS, trainingRecords } from './activity-options.ts';
import type { DividedPart, Division, StageInput } from './division.ts';
import { failureCode, rootMessage } from './failure.ts';
import { partPlacedSignal } from './messages.ts';
import { describePlaces, withPlaced } from './policy/describe-spread.ts';

/**
 * One head by several processes: replicas that divide its batches and meet at parameter shards, or stages that divide the model. Each
 * part is an activity, taken by any trainer with room. A lost one is started again, on whatever trainer lives, and the others wait
 * for it; retries add nothing to the history. What trying again cannot help, in any part, ends the run with that reason. When the lead
 * is done, when the run fails and on cancel, the other parts are stopped and waited for: none outlives the run. Bounded: an activity
 * per part and stage, and a signal for each change of host.
 */
export async function trainSpread(train: TrainInput, division: Division, about: string): Promise<TrainOutput> {
  let run = '';
  let placed: PlacedPart[] = [];
  let saying = '';
  const describe = (): void =>
    setCurrentDetails(`${about}\n\n${saying} ${division.about}\n\n${describePlaces(division.parts, placed)}`);
  setHandler(partPlacedSignal, (part) => {
    // A part of the stage before may speak up late.
    if (part.run !== run) return;
    placed = withPlaced(placed, part);
    describe();
  });

  let stage: TrainingStage = FIRST_STAGE;
  for (;;) {
    run = `${workflowInfo().runId}/${stage.kind}`;
    placed = [];
    saying =
      stage.kind === 'judged' ? 'The model that is judged.' : 'Judged; now the model that learns from all items.';
    describe();
    const { output, next }: StageOutput = await runStage({ run, stage, train }, division);
    if (next === null) return output;
    stage = next;
  }
}

async function runStage(stage: StageInput, { parts, lead }: Division): Promise<StageOutput> {
  const outcomes: Promise<unknown>[] = [];
  const scope = new CancellationScope();
  try {
    return await scope.run(async () => {
      outcomes.push(...parts.map((part) => outcomeOf(part, stage)));
      const leading = outcomes[parts.indexOf(lead)] as Promise<StageOutput | null>;
      // The lead's result or anybody's failure, whichever comes first.
      const failure = Promise.all(outcomes).then(() => leading);
      const ended = await Promise.race([leading, failure]);
      if (ended === null) throw ApplicationFailure.nonRetryable('Expected the lead to end the stage, got nothing.');
      return ended;
    });
  } catch (error) {
    // Parts that a cancel finds in the middle of being lost do not end as cancelled.
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('Cancelled on request.');
    throw error;
  } finally {
    scope.cancel();
    await Promise.allSettled(outcomes);
    await CancellationScope.nonCancellable(() => forget(stage.run));
  }
}

/** One part's outcome; that it was lost too often is said in words, with what happened last. */
async function outcomeOf({ title, start }: DividedPart, stage: StageInput): Promise<unknown> {
  try {
    return await start(stage);
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    if (error.retryState !== 'MAXIMUM_ATTEMPTS_REACHED') throw error;
    throw ApplicationFailure.nonRetryable(
      `${title} was started ${MAX_PART_ATTEMPTS} times and lost each time; at last: ${rootMessage(error)}`,
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
