import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { LookalikeError } from '../../contracts/errors.ts';
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

/** All rows at once; about 500 bytes of memory each. @throws LookalikeError `notFound` | `corruptArtifact` | `cancelled` */
export async function readSnapshotRows(
  stores: Pick<Stores, 'artifacts'>,
  id: string,
  signal?: AbortSignal,
): Promise<SnapshotRow[]> {
  const rows: SnapshotRow[] = [];
  for await (const row of readSnapshot(stores, id)) {
    throwIfStopped(signal);
    rows.push(row);
  }
  return rows;
}

/** Between two rows of a catalogue of any size. @throws LookalikeError `cancelled` */
export function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new LookalikeError('cancelled', 'Work on the snapshot was asked to stop.');
}
