import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { FinetuneInput, FinetuneOutput } from '../contracts/finetune.ts';
import { finetuning } from './activity-options.ts';
import { modelKey, statusKey } from './messages.ts';

/**
 * Fine-tunes one backbone by one activity that computes in a child process, leaves a durable checkpoint every N steps and resumes from
 * it. Live progress is the activity's heartbeat. Bounded: one activity. On cancel the trainer stops and the last checkpoint stays.
 */
export async function finetune(input: FinetuneInput): Promise<FinetuneOutput> {
  const { blocks, size, loss, epochs, seed } = input.config;
  setCurrentDetails(
    `Fine-tuning the last ${blocks} blocks of \`${input.backbone}\`: ${loss.kind}, pictures of ${size}, ${epochs} epochs, seed ${seed}.`,
  );
  upsertSearchAttributes([{ key: statusKey, value: 'running' }]);
  const output = await finetuning.finetuneBackbone(input);
  upsertSearchAttributes([
    { key: modelKey, value: output.backbone },
    { key: statusKey, value: output.reused ? 'reused' : 'done' },
  ]);
  setCurrentDetails(
    output.untrained === undefined
      ? `${output.reused ? 'Found' : 'Made'} backbone \`${output.backbone}\`.`
      : `Not fine-tuned: \`${output.backbone}\` is taken as it is. ${output.untrained}`,
  );
  return output;
}
