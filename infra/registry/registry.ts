import { join } from 'node:path';
import type { SnapshotRow } from '../../contracts/catalogue.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { Config } from '../config/env.ts';
import { createApiKeyStore } from './api-key-store.ts';
import { createCatalogueStore } from './catalogue-store.ts';
import { createChangeStore } from './change-store.ts';
import { createCheckpointStore } from './checkpoint-store.ts';
import { openPostgres, openSqlite } from './database.ts';
import type { Database } from './database.ts';
import { guarded, translateFailures } from './failures.ts';
import { createGenerationStore } from './generation-store.ts';
import type { ShapeOf } from './generation-store.ts';
import { migrate } from './migrations.ts';
import { createQuerySampleStore } from './query-sample-store.ts';
import { createSimilarStore } from './similar-store.ts';
import { createTrainingStore } from './training-store.ts';
import { artifactsInUse, imagesInUse, snapshotRows } from './readings.ts';
import { createRoutingStore } from './routing-store.ts';

/** The registry and the long consistent readings that snapshots and garbage collection are made from. */
export interface SqlRegistry extends Registry {
  /**
   * All items, then all examples, each ascending by id: the catalogue at one moment. `onSeq` hears, before the first row, the newest
   * sequence number of that moment.
   */
  snapshotRows(catalogue: string, onSeq?: (seq: number) => void): AsyncIterable<SnapshotRow>;
  /**
   * Artefacts named by checkpoints and by generations, but for failed and rejected ones, all but the `numRollbacks` retired ones that
   * served last, and those created before `abandonedBefore` (default: none) that still say they are being built though a newer one
   * exists.
   */
  artifactsInUse(abandonedBefore?: Date, numRollbacks?: number): Promise<string[]>;
  /** SHA-256 of every picture of every catalogue; an image may come more than once. */
  imagesInUse(): AsyncIterable<string>;
}

/** SQLite in the data directory, or PostgreSQL where the configuration names one; the schema is brought up to date. */
export async function openRegistry(
  config: Pick<Config, 'dataDir' | 'databaseUrl'>,
  shapeOf: ShapeOf,
  onIdleError: (error: Error) => void = () => undefined,
): Promise<SqlRegistry> {
  const database = await guarded(() => openDatabase(config, onIdleError));
  return {
    catalogue: translateFailures(createCatalogueStore(database)),
    changes: translateFailures(createChangeStore(database)),
    generations: translateFailures(createGenerationStore(database, shapeOf)),
    routing: translateFailures(createRoutingStore(database)),
    checkpoints: translateFailures(createCheckpointStore(database)),
    training: translateFailures(createTrainingStore(database)),
    similar: translateFailures(createSimilarStore(database)),
    queries: translateFailures(createQuerySampleStore(database)),
    apiKeys: translateFailures(createApiKeyStore(database)),
    snapshotRows: (catalogue, onSeq) => snapshotRows(database, catalogue, onSeq),
    artifactsInUse: (before, numRollbacks) => guarded(() => artifactsInUse(database, before, numRollbacks)),
    imagesInUse: () => imagesInUse(database),
    close: () => database.close(),
  };
}

async function openDatabase(
  config: Pick<Config, 'dataDir' | 'databaseUrl'>,
  onIdleError: (error: Error) => void,
): Promise<Database> {
  const database =
    config.databaseUrl === null
      ? await openSqlite(join(config.dataDir, 'registry.sqlite'))
      : openPostgres(config.databaseUrl, onIdleError);
  try {
    await migrate(database);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}
