import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { TrainInput, TrainOutput } from '../contracts/workflows.ts';
import { training } from './activity-options.ts';
import { divisionOf } from './division.ts';
import { modelKey, statusKey } from './messages.ts';
import { trainSpread } from './train-spread.ts';

/**
 * Trains one head, by one activity or, with another strategy than `single`, by several (`trainSpread`). They compute in child processes,
 * leave a durable checkpoint every N steps and resume from it, so that a lost worker costs at most the steps since. Live progress
 * is the activities' heartbeats, not a query: it changes far more often than a history should. Bounded: a fixed number of
 * activities. On cancel the trainers stop and the last checkpoint stays.
 */
export async function train(input: TrainInput): Promise<TrainOutput> {
  const { strategy, dim, loss, epochs, seed } = input.config;
  const about =
    `Training (${strategy}): ${loss.kind}, ${dim} dimensions, up to ${epochs} epochs, seed ${seed}, ` +
    `on features \`${input.features}\`.`;
  setCurrentDetails(about);
  upsertSearchAttributes([{ key: statusKey, value: 'running' }]);
  const division = divisionOf(input.config);
  const output = await (division === null ? training.trainHead(input) : trainSpread(input, division, about));
  upsertSearchAttributes([
    { key: modelKey, value: output.model },
    { key: statusKey, value: output.reused ? 'reused' : 'done' },
  ]);
  setCurrentDetails(
    output.untrained === undefined
      ? `${output.reused ? 'Found' : 'Made'} model \`${output.model}\`.`
      : `Not trained: the untrained model \`${output.model}\` is taken. ${output.untrained}`,
  );
  return output;
}
