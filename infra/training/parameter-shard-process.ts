/** Entry of the child process of a parameter shard. */
import type { ParameterShardInput, ParameterShardProgress } from '../../contracts/data-parallel.ts';
import { serveParent } from './child-main.ts';

serveParent<ParameterShardInput, void, ParameterShardProgress>({
  name: 'parameters',
  work: async (job) => (await import('./parameter-shard.ts')).workAsParameterShard(job),
  isNews: (progress, told) => progress.incarnation !== told.incarnation,
});
