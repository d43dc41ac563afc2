import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { readRunState } from './run-state.ts';

/** Held by the one supervisor of a data directory. */
export interface SupervisorLock {
  release(): void;
}

/**
 * Makes this process the only supervisor of the data directory. The lock is an exclusive SQLite transaction, which the
 * operating system releases with its holder even after kill -9, so no lock is ever stale.
 * @throws LookalikeError `conflict` when another supervisor runs
 */
export function takeSupervisorLock(config: Pick<Config, 'dataDir'>): SupervisorLock {
  mkdirSync(config.dataDir, { recursive: true });
  const database = new Database(join(config.dataDir, 'supervisor.lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!(error as { code?: string }).code?.startsWith('SQLITE_BUSY')) throw error;
    const pid = readRunState(config)?.supervisor.pid;
    throw new LookalikeError(
      'conflict',
      `Expected no running stack in ${config.dataDir}, found ${pid === undefined ? 'one' : `process ${pid}`}. ` +
        'Run `lookalike status` to see it, `lookalike down` to stop it, or set LOOKALIKE_DATA_DIR for another one.',
      pid === undefined ? {} : { pid },
    );
  }
  return { release: () => void database.close() };
}
