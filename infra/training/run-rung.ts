import type { TrainProgress } from '../../contracts/training.ts';
import type { RungInput, RungOutput } from '../../contracts/tuning.ts';
import { runChild } from './run-child.ts';
import type { ChildJob } from './run-child.ts';

/** Trains one rung of a trial in a child process. @throws LookalikeError as `runChild` */
export function runRung(job: ChildJob<RungInput, TrainProgress>): Promise<RungOutput> {
  return runChild('train-rung-process', job);
}
