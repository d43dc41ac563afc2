import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { RungOutput, TrialInput } from '../contracts/tuning.ts';
import { trials } from './activity-options.ts';
import { modelKey, statusKey } from './messages.ts';
import { describeParams } from './policy/describe-tune.ts';

/**
 * One rung of one trial of a search. It ends when the trial is paused with a durable checkpoint, or trained; a trial that is promoted
 * goes on by another run under the same id. Live progress is the activity's heartbeats. Bounded: one activity. On cancel the trainer
 * stops and the last checkpoint stays.
 */
export async function trial({ trial: id, params, ...rung }: TrialInput): Promise<RungOutput> {
  const { epochs } = rung.train.config;
  const about = `Trial ${id} until epoch ${rung.untilEpoch} of ${epochs}: ${describeParams(params)}.`;
  setCurrentDetails(about);
  const output = await trials.trainTrial(rung);
  const { model, checkpoint, reports } = output;
  const told = `${about}\n\nRecall@1 ${reports.at(-1)?.value.toFixed(4) ?? 'unknown'}, best so far.`;
  if (model !== null) upsertSearchAttributes([{ key: modelKey, value: model }]);
  upsertSearchAttributes([{ key: statusKey, value: model === null ? 'paused' : 'done' }]);
  setCurrentDetails(`${told} ${model === null ? `Paused at \`${checkpoint}\`.` : `Trained: \`${model}\`.`}`);
  return output;
}
