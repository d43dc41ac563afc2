/** Entry of the child process of a replica. */
import type { ReplicaInput, ReplicaProgress, StageOutput } from '../../contracts/data-parallel.ts';
import { serveParent } from './child-main.ts';

serveParent<ReplicaInput, StageOutput | null, ReplicaProgress>({
  name: 'replica',
  work: async (job) => (await import('./replica.ts')).workAsReplica(job),
  isNews: (progress, told) =>
    progress.checkpoint !== told.checkpoint || progress.waiting !== told.waiting || progress.step === progress.numSteps,
});
