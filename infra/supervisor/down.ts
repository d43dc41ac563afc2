import { LookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { stopLeftovers } from './leftovers.ts';
import { isAlive, signalProcess, waitUntilGone } from './process-identity.ts';
import { readRunState } from './run-state.ts';

/** The supervisor's own bounds add up to less. */
const DRAIN_MS = 60_000;

export interface DownOutcome {
  /** `notRunning`: there was nothing to stop. `cleaned`: only processes that a killed supervisor had left. */
  outcome: 'stopped' | 'cleaned' | 'notRunning';
  /** Processes that were stopped, by name. */
  processes: string[];
}

/** Stops the stack of this data directory from any process. Resolves when no process of it is left. */
export async function stopStack(config: Pick<Config, 'dataDir'>): Promise<DownOutcome> {
  const state = readRunState(config);
  if (state === undefined) return { outcome: 'notRunning', processes: [] };
  const names = state.processes.filter((row) => row.process !== null).map((row) => row.name);
  if (!isAlive(state.supervisor)) {
    const left = await stopLeftovers(config);
    return { outcome: left.length > 0 ? 'cleaned' : 'notRunning', processes: left };
  }
  signalProcess(state.supervisor, 'SIGTERM');
  if (await waitUntilGone(state.supervisor, DRAIN_MS)) {
    await stopLeftovers(config);
    return { outcome: 'stopped', processes: names };
  }
  signalProcess(state.supervisor, 'SIGKILL');
  if (!(await waitUntilGone(state.supervisor, 5_000))) {
    throw new LookalikeError('unavailable', `Expected process ${state.supervisor.pid} to end, but it does not.`);
  }
  await stopLeftovers(config);
  return { outcome: 'stopped', processes: names };
}
