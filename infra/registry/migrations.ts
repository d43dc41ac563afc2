import { sql } from 'kysely';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Database, DatabaseKind } from './database.ts';

/**
 * Statements that take the schema from version i to i + 1. Append only: installations have run the earlier ones.
 * `TEXT` orders by bytes: SQLite's default, said explicitly on PostgreSQL, whose default depends on the machine.
 */
const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `create table items (
      catalogue TEXT not null, id TEXT not null, image TEXT not null, category TEXT, label TEXT, title TEXT,
      attributes TEXT not null, primary key (catalogue, id))`,
    'create index items_by_category on items (catalogue, category, id)',
    `create table examples (
      catalogue TEXT not null, id TEXT not null, image TEXT not null, label TEXT not null, split TEXT not null,
      primary key (catalogue, id))`,
    `create table generations (
      catalogue TEXT not null, number integer not null, status TEXT not null, snapshot TEXT not null, model TEXT,
      embeddings TEXT, index_artifact TEXT, metrics TEXT not null, workflow_id TEXT not null,
      workflow_run_id TEXT not null, created_at TEXT not null, dim integer, num_shards integer, replaced integer,
      primary key (catalogue, number))`,
    'create unique index generations_by_run on generations (catalogue, workflow_run_id)',
    // The database itself forbids two serving generations.
    `create unique index generations_serving on generations (catalogue) where status = 'serving'`,
    'create table hosts (host TEXT not null primary key, kind TEXT not null, url TEXT not null, task_queue TEXT not null)',
    `create table endpoints (
      catalogue TEXT not null, generation integer not null, shard integer not null, replica integer not null,
      url TEXT not null, host TEXT not null, artifact TEXT not null,
      primary key (catalogue, generation, shard, replica))`,
    'create table checkpoints (run TEXT not null, step integer not null, artifact TEXT not null, primary key (run, step))',
    `create table api_keys (
      id TEXT not null primary key, name TEXT not null, scopes TEXT not null, hash TEXT not null, created_at TEXT not null)`,
  ],
  [
    `create table similar_items (
      catalogue TEXT not null, index_artifact TEXT not null, artifact TEXT not null,
      primary key (catalogue, index_artifact))`,
  ],
  [
    `create table training_shards (
      run TEXT not null, shard integer not null, url TEXT not null, attempt integer not null, primary key (run, shard))`,
  ],
  [
    `create table switches (
      catalogue TEXT not null, seq integer not null, generation integer not null, previous integer, how TEXT not null,
      ordered_by TEXT not null, reason TEXT, at TEXT not null, primary key (catalogue, seq))`,
  ],
  [
    `create table query_samples (
      catalogue TEXT not null, model TEXT not null, seq integer not null, vector TEXT not null,
      primary key (catalogue, model, seq))`,
  ],
  [
    // 0: before changes were numbered.
    'alter table items add column seq bigint not null default 0',
    'alter table items add column image_seq bigint not null default 0',
    'create index items_by_seq on items (catalogue, seq)',
    'create table deleted_items (catalogue TEXT not null, id TEXT not null, seq bigint not null, primary key (catalogue, id))',
    'create index deleted_items_by_seq on deleted_items (catalogue, seq)',
    'create table catalogue_seqs (catalogue TEXT not null primary key, seq bigint not null)',
    `create table snapshots (
      catalogue TEXT not null, artifact TEXT not null, seq bigint not null, primary key (catalogue, artifact))`,
    `create table picture_vectors (
      catalogue TEXT not null, model TEXT not null, image TEXT not null, vector TEXT, reason TEXT,
      primary key (catalogue, model, image))`,
    `create table idempotency_keys (
      catalogue TEXT not null, key TEXT not null, request TEXT not null, answer TEXT not null, at TEXT not null,
      primary key (catalogue, key))`,
  ],
  // Each keyed write drops old keys.
  ['create index idempotency_keys_by_time on idempotency_keys (catalogue, at)'],
];

/** Brings the schema up to date. Processes that start together wait for one another; one of them does the work. */
export async function migrate(database: Database): Promise<void> {
  await database.write('schema', async (db) => {
    await sql`create table if not exists schema_version (version integer not null)`.execute(db);
    const row = await db.selectFrom('schema_version').select('version').executeTakeFirst();
    const version = row?.version ?? 0;
    if (version > MIGRATIONS.length) {
      throw new LookalikeError(
        'conflict',
        `Expected a registry of schema version ${MIGRATIONS.length} or older, found ${version}: a newer release wrote it. Upgrade this one.`,
      );
    }
    if (version === MIGRATIONS.length) return;
    for (const statement of MIGRATIONS.slice(version).flat()) {
      await sql.raw(inDialect(statement, database.kind)).execute(db);
    }
    await db.deleteFrom('schema_version').execute();
    await db.insertInto('schema_version').values({ version: MIGRATIONS.length }).execute();
  });
}

function inDialect(statement: string, kind: DatabaseKind): string {
  return statement.replaceAll('TEXT', kind === 'postgres' ? 'text collate "C"' : 'text');
}
