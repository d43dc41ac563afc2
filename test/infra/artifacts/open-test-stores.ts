import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openStores } from '../../../infra/stores.ts';
import type { Stores } from '../../../infra/stores.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Real stores on a folder and SQLite, closed and removed with the test. */
export async function openTestStores(dataDir: string = temporaryFolder()): Promise<Stores> {
  const artifacts = { kind: 'folder' as const, path: join(dataDir, 'artifacts') };
  const stores = await openStores({ dataDir, databaseUrl: null, artifacts });
  onTestFinished(() => stores.close());
  return stores;
}
