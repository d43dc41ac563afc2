import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { readLines } from '../import/lines.ts';
import type { Stores } from '../stores.ts';

/** The one file of a snapshot artefact. */
export const SNAPSHOT_FILE = 'items.jsonl';

/**
 * The rows of a snapshot, sorted by role, then id by bytes; its checksum is verified first.
 *
 * @throws LookalikeError `notFound` | `corruptArtifact`
 */
export async function* readSnapshot(stores: Pick<Stores, 'artifacts'>, id: string): AsyncGenerator<SnapshotRow> {
  const path = await stores.artifacts.materialise(id, SNAPSHOT_FILE);
  for await (const { bytes } of readLines(path)) {
    if (bytes !== undefined) yield JSON.parse(bytes.toString('utf8')) as SnapshotRow;
  }
}

/** All rows at once; about 500 bytes of memory each. */
export async function readSnapshotRows(stores: Pick<Stores, 'artifacts'>, id: string): Promise<SnapshotRow[]> {
  const rows: SnapshotRow[] = [];
  for await (const row of readSnapshot(stores, id)) rows.push(row);
  return rows;
}
