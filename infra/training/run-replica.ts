import type { ReplicaInput, ReplicaProgress, StageOutput } from '../../contracts/data-parallel.ts';
import { runChild } from './run-child.ts';
import type { ChildJob } from './run-child.ts';

/**
 * One replica of a data-parallel stage in a child process. The lead (rank 0) gives what the stage ends in; the others go on until
 * the signal aborts, or give null where nothing is to be trained.
 * @throws LookalikeError as `runChild`
 */
export function runReplica(job: ChildJob<ReplicaInput, ReplicaProgress>): Promise<StageOutput | null> {
  return runChild('replica-process', job);
}
