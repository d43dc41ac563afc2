import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { Kysely, PostgresDialect, sql } from 'kysely';
import type { Transaction } from 'kysely';
import pg from 'pg';
import { PatientSqliteDialect, whenFree } from './patient-sqlite.ts';
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
  /** As `write`; once it has resolved, what was written survives a power cut too. */
  writeDurably<T>(scope: string, work: (db: Db) => Promise<T>): Promise<T>;
  /** All that is read through the yielded handle is of one moment; writers are not held up. */
  openRead(): Promise<{ db: Db; close(): Promise<void> }>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** SQLite in a file, in WAL mode: several processes read while one writes. */
export async function openSqlite(path: string): Promise<Database> {
  mkdirSync(dirname(path), { recursive: true });
  const main = await connectSqlite(path, 'begin immediate');
  return {
    kind: 'sqlite',
    db: main,
    write: (_scope, work) => main.transaction().execute(work),
    writeDurably: (_scope, work) =>
      main.connection().execute(async (connection) => {
        // Nobody else uses the connection meanwhile. A commit then waits for the disk.
        await sql`pragma synchronous = full`.execute(connection);
        try {
          return await connection.transaction().execute(work);
        } finally {
          await sql`pragma synchronous = normal`.execute(connection);
        }
      }),
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
  const connection = new SqliteDatabase(path, { timeout: 0 });
  await whenFree(() => connection.pragma('journal_mode = WAL'));
  // A commit survives a killed process; a power cut may undo the last ones but never damages the file.
  connection.pragma('synchronous = NORMAL');
  return new Kysely<Tables>({ dialect: new PatientSqliteDialect({ database: connection }, begin) });
}

/** PostgreSQL; `onIdleError` hears of connections that break while nobody uses them (the pool replaces them). */
export function openPostgres(url: string, onIdleError: (error: Error) => void): Database {
  const pool = new pg.Pool({ connectionString: url, max: 10, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  pool.on('error', onIdleError);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const write: Database['write'] = (scope, work) =>
    db.transaction().execute(async (transaction) => {
      // Serialises writers of one scope: no lost update, and no deadlock between batches in different orders.
      await sql`select pg_advisory_xact_lock(hashtextextended(${`lookalike:${scope}`}, 0))`.execute(transaction);
      return work(transaction);
    });
  return {
    kind: 'postgres',
    db,
    write,
    // The server's default: a commit waits for the disk.
    writeDurably: write,
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
