import type { Config } from '../config/env.ts';
import { isAlive, stopProcess } from './process-identity.ts';
import { readRunState, removeRunState } from './run-state.ts';

/** Longer than the guardian's own grace time: it is at the same work when only the supervisor was killed. */
const GRACE_MS = 17_000;

/**
 * Stops what a killed supervisor of this data directory left running. Call it only while holding the supervisor's lock, or
 * when its supervisor is known to be gone.
 * @returns names of the processes that still ran
 */
export async function stopLeftovers(config: Pick<Config, 'dataDir'>): Promise<string[]> {
  const state = readRunState(config);
  if (state === undefined || isAlive(state.supervisor)) return [];
  const stopped = await Promise.all(
    state.processes.map(async (row) => {
      if (row.process === null) return null;
      return (await stopProcess(row.process, GRACE_MS)) === 'gone' ? null : row.name;
    }),
  );
  removeRunState(config);
  return stopped.filter((name) => name !== null);
}
