import type { StageOutput } from '../../contracts/data-parallel.ts';
import type { StagePartInput, StagePartProgress } from '../../contracts/model-parallel.ts';
import { runChild } from './run-child.ts';
import type { ChildJob } from './run-child.ts';

/**
 * One part of a training whose model is cut, in a child process. The lead (part 0) gives what the stage ends in; the others go on
 * until the signal aborts, or give null where nothing is to be trained.
 * @throws LookalikeError as `runChild`
 */
export function runStagePart(job: ChildJob<StagePartInput, StagePartProgress>): Promise<StageOutput | null> {
  return runChild('stage-part-process', job);
}
