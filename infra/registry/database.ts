import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import SqliteDatabase from 'better-sqlite3';
import { CompiledQuery, Kysely, PostgresDialect, sql, SqliteDialect, SqliteDriver } from 'kysely';
import type { DatabaseConnection, Driver, SqliteDialectConfig, Transaction } from 'kysely';
import pg from 'pg';
import type { Tables } from './schema.ts';

export type DatabaseKind = 'sqlite' | 'postgres';
export type Db = Kysely<Tables> | Transaction<Tables>;

/** One open database. Every change goes through `write`, so a read-then-write is never torn by another process. */
export interface Database {
  readonly kind: DatabaseKind;
  /** Single statements. */
  readonly db: Db;
  /** A transaction that excludes other writers of the same `scope` (on SQLite: all other writers). */
  write<T>(scope: string, work: (db: Db) => Promise<T>): Promise<T>;
  /** All that is read through the yielded handle is of one moment; writers are not held up. */
  openRead(): Promise<{ db: Db; close(): Promise<void> }>;
  close(): Promise<void>;
}

const BUSY_TIMEOUT_MS = 10_000;

/** SQLite in a file, in WAL mode: several processes read while one writes. */
export async function openSqlite(path: string): Promise<Database> {
  mkdirSync(dirname(path), { recursive: true });
  const main = await connectSqlite(path, 'begin immediate');
  return {
    kind: 'sqlite',
    db: main,
    write: (_scope, work) => main.transaction().execute(work),
    async openRead() {
      // A connection of its own: a long read must not hold up this process's other statements.
      const reader = await connectSqlite(path, 'begin');
      const db = await reader.startTransaction().execute();
      return {
        db,
        async close() {
          await db.rollback().execute();
          await reader.destroy();
        },
      };
    },
    close: () => main.destroy(),
  };
}

async function connectSqlite(path: string, begin: 'begin' | 'begin immediate'): Promise<Kysely<Tables>> {
  const connection = new SqliteDatabase(path, { timeout: BUSY_TIMEOUT_MS });
  await useWriteAheadLog(connection);
  // A commit survives a killed process; a power cut may undo the last ones but never damages the file.
  connection.pragma('synchronous = NORMAL');
  return new Kysely<Tables>({ dialect: new Dialect({ database: connection }, begin) });
}

/** Several processes that open a new file at once: SQLite answers "busy" here without waiting its timeout. */
async function useWriteAheadLog(connection: SqliteDatabase.Database): Promise<void> {
  const deadline = Date.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      connection.pragma('journal_mode = WAL');
      return;
    } catch (error) {
      if (!isBusy(error) || Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY');
}

/** Kysely's SQLite dialect, with the transaction's kind chosen: a write takes its lock at the start or waits for it. */
class Dialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig;
  readonly #begin: string;

  constructor(config: SqliteDialectConfig, begin: string) {
    super(config);
    this.#config = config;
    this.#begin = begin;
  }

  override createDriver(): Driver {
    const driver = new SqliteDriver(this.#config);
    driver.beginTransaction = async (connection: DatabaseConnection) => {
      await connection.executeQuery(CompiledQuery.raw(this.#begin));
    };
    return driver;
  }
}

/** PostgreSQL; `onIdleError` hears of connections that break while nobody uses them (the pool replaces them). */
export function openPostgres(url: string, onIdleError: (error: Error) => void): Database {
  const pool = new pg.Pool({ connectionString: url, max: 10, connectionTimeoutMillis: BUSY_TIMEOUT_MS });
  pool.on('error', onIdleError);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return {
    kind: 'postgres',
    db,
    write: (scope, work) =>
      db.transaction().execute(async (transaction) => {
        // Serialises writers of one scope: no lost update, and no deadlock between batches in different orders.
        await sql`select pg_advisory_xact_lock(hashtextextended(${`lookalike:${scope}`}, 0))`.execute(transaction);
        return work(transaction);
      }),
    async openRead() {
      const transaction = await db
        .startTransaction()
        .setIsolationLevel('repeatable read')
        .setAccessMode('read only')
        .execute();
      return {
        db: transaction,
        close: async () => {
          await transaction.rollback().execute();
        },
      };
    },
    close: () => db.destroy(),
  };
}
