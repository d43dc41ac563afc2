/** Entry of the child process that fine-tunes: its own TensorFlow and memory, so that the worker stays responsive and survives it. */
import type { FinetuneInput, FinetuneOutput, FinetuneProgress } from '../../contracts/finetune.ts';
import { serveParent } from '../training/child-main.ts';

serveParent<FinetuneInput, FinetuneOutput, FinetuneProgress>({
  name: 'finetune',
  work: async (job) => (await import('./finetune-and-publish.ts')).finetuneAndPublish(job),
  isNews: (progress, told) => progress.checkpoint !== told.checkpoint,
});
