import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { CheckRetrainInput, CheckRetrainOutput } from '../contracts/schedules.ts';
import { scheduleMeasures, scheduleStarts } from './activity-options.ts';
import { statusKey } from './messages.ts';
import { retrainDue } from './policy/retrain-due.ts';

/**
 * What a schedule starts: looks whether retraining is due, and starts the catalogue's `retrain` if so, without waiting for it. While
 * one runs, that one is left alone and nothing is started. Bounded: three activities. A cancel starts nothing.
 */
export async function checkRetrain({
  catalogue,
  rule,
  config,
  schedule,
}: CheckRetrainInput): Promise<CheckRetrainOutput> {
  const changes = rule.trigger === 'cron' ? null : await scheduleMeasures.measureChanges({ catalogue });
  const drift = rule.trigger === 'drift' ? await scheduleMeasures.measureDrift({ catalogue }) : null;
  const { due, reason } = retrainDue(rule, changes, drift);
  const end = (output: CheckRetrainOutput): CheckRetrainOutput => {
    upsertSearchAttributes([{ key: statusKey, value: output.outcome }]);
    setCurrentDetails(`${output.outcome}: ${output.reason}`);
    return output;
  };
  if (!due) return end({ outcome: 'notDue', reason, workflowId: null, runId: null });
  const order = { trigger: rule.trigger, by: schedule, reason };
  const { started, ...run } = await scheduleStarts.startDueRetrain({ catalogue, config, force: false, order });
  if (started) return end({ outcome: 'started', reason, ...run });
  return end({ outcome: 'alreadyRunning', reason: `${reason} A run is under way already.`, ...run });
}
