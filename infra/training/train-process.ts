/** Entry of the child process that trains: its own TensorFlow and memory, so that the worker stays responsive and survives it. */
import type { TrainProgress } from '../../contracts/training.ts';
import type { TrainInput, TrainOutput } from '../../contracts/workflows.ts';
import { serveParent } from './child-main.ts';

serveParent<TrainInput, TrainOutput, TrainProgress>({
  name: 'train',
  work: async (job) => (await import('./train-and-publish.ts')).trainAndPublish(job),
  isNews: (progress, told) => progress.checkpoint !== told.checkpoint || progress.step === progress.numSteps,
});
