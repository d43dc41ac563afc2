import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { TrainInput, TrainOutput } from '../contracts/workflows.ts';
import { training } from './activity-options.ts';
import { modelKey, statusKey } from './messages.ts';

/**
 * Trains one head. The activity computes in a child process, leaves a durable checkpoint every N steps and resumes from it, so
 * that a lost worker costs at most the steps since. Live progress is the activity's heartbeat, not a query: it changes far more
 * often than a history should. Bounded: one activity. On cancel the trainer stops and the last checkpoint stays.
 */
export async function train(input: TrainInput): Promise<TrainOutput> {
  const { strategy, dim, loss, epochs, seed } = input.config;
  setCurrentDetails(
    `Training (${strategy}): ${loss.kind}, ${dim} dimensions, up to ${epochs} epochs, seed ${seed}, ` +
      `on features \`${input.features}\`.`,
  );
  upsertSearchAttributes([{ key: statusKey, value: 'running' }]);
  const output = await training.trainHead(input);
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
