import type { FinetuneInput, FinetuneOutput, FinetuneProgress } from '../../contracts/finetune.ts';
import { runChild } from '../training/run-child.ts';
import type { ChildJob } from '../training/run-child.ts';

/** Fine-tunes in a child process and waits for its backbone. @throws LookalikeError as `runChild` */
export function runFinetuning(job: ChildJob<FinetuneInput, FinetuneProgress>): Promise<FinetuneOutput> {
  return runChild('../finetune/finetune-process', job);
}
