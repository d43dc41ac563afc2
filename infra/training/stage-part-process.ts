/** Entry of the child process of one part of a model that is cut. */
import type { StageOutput } from '../../contracts/data-parallel.ts';
import type { StagePartInput, StagePartProgress } from '../../contracts/model-parallel.ts';
import { serveParent } from './child-main.ts';

serveParent<StagePartInput, StageOutput | null, StagePartProgress>({
  name: 'stage',
  work: async (job) => (await import('./stage-part.ts')).workAsStagePart(job),
  isNews: (progress, told) =>
    progress.checkpoint !== told.checkpoint || progress.waiting !== told.waiting || progress.step === progress.numSteps,
});
