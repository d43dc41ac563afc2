import type { RetrievalInput, evaluateQueries } from '../../lib/eval/retrieval.ts';
import { runHeavyTask } from '../shards/heavy-task.ts';

export type MeasuredRetrieval = ReturnType<typeof evaluateQueries>;

/**
 * `evaluateQueries` in a thread of its own: seconds of arithmetic, beside which heartbeats and photo queries go on. An abort
 * ends it at once.
 * @throws LookalikeError `cancelled` | `nonFinite` | `dimensionMismatch`
 */
export function measureRetrieval(input: RetrievalInput, signal?: AbortSignal): Promise<MeasuredRetrieval> {
  return runHeavyTask<MeasuredRetrieval>('../evaluation/retrieval-task', input, signal);
}
