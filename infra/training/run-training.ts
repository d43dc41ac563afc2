import type { TrainProgress } from '../../contracts/training.ts';
import type { TrainInput, TrainOutput } from '../../contracts/workflows.ts';
import { runChild } from './run-child.ts';
import type { ChildJob } from './run-child.ts';

/** Trains in a child process and waits for its model. @throws LookalikeError as `runChild` */
export function runTraining(job: ChildJob<TrainInput, TrainProgress>): Promise<TrainOutput> {
  return runChild('train-process', job);
}
