import { setTimeout as sleep } from 'node:timers/promises';
import { CompiledQuery, SqliteDialect, SqliteDriver } from 'kysely';
import type { DatabaseConnection, Driver, QueryResult, SqliteDialectConfig } from 'kysely';

/** A transaction is a few statements: a lock that is held longer belongs to a stopped process. */
const BUSY_TIMEOUT_MS = 10_000;
const RETRY_MS = 5;

/**
 * Waits for another writer without blocking the event loop: SQLite's own wait would stop this process's heartbeats, and would
 * wait in vain where the lock's holder is another connection of this very process.
 */
export async function whenFree<T>(work: () => T | Promise<T>): Promise<T> {
  const deadline = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      await sleep(RETRY_MS);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY');
}

/** Kysely's SQLite dialect whose statements wait as above; `begin` says when a transaction takes its lock. */
export class PatientSqliteDialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig;
  readonly #begin: string;

  constructor(config: SqliteDialectConfig, begin: 'begin' | 'begin immediate') {
    super(config);
    this.#config = config;
    this.#begin = begin;
  }

  override createDriver(): Driver {
    return new PatientDriver(this.#config, this.#begin);
  }
}

class PatientDriver extends SqliteDriver {
  readonly #begin: string;

  constructor(config: SqliteDialectConfig, begin: string) {
    super(config);
    this.#begin = begin;
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await super.acquireConnection();
    return {
      // A busy statement has had no effect, so it may be given again.
      executeQuery: <R>(query: CompiledQuery): Promise<QueryResult<R>> =>
        whenFree(() => connection.executeQuery<R>(query)),
      streamQuery: <R>(query: CompiledQuery, chunkSize: number) => connection.streamQuery<R>(query, chunkSize),
    };
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(this.#begin));
  }
}
