/** Entry of the child process that trains one rung of a trial. */
import type { TrainProgress } from '../../contracts/training.ts';
import type { RungInput, RungOutput } from '../../contracts/tuning.ts';
import { serveParent } from './child-main.ts';

serveParent<RungInput, RungOutput, TrainProgress>({
  name: 'trial',
  work: async (job) => (await import('./train-rung.ts')).trainRung(job),
  isNews: (progress, told) => progress.checkpoint !== told.checkpoint || progress.step === progress.numSteps,
});
