import type { ParameterShardInput, ParameterShardProgress } from '../../contracts/data-parallel.ts';
import { runChild } from './run-child.ts';
import type { ChildJob } from './run-child.ts';

/** One parameter shard of a data-parallel stage in a child process, until the signal aborts. @throws LookalikeError as `runChild` */
export function runParameterShard(job: ChildJob<ParameterShardInput, ParameterShardProgress>): Promise<void> {
  return runChild('parameter-shard-process', job);
}
