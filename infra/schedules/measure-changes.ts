import type { SnapshotRow } from '../../contracts/catalogue.ts';
import type { CatalogueChanges } from '../../contracts/schedules.ts';
import type { Generation } from '../../contracts/serving.ts';
import { canonicalJson } from '../artifacts/canonical-json.ts';
import { readSnapshot, throwIfStopped } from '../snapshot/read-snapshot.ts';
import type { Stores } from '../stores.ts';

/** Generations that tell what a run over their snapshot came to. */
const JUDGED: readonly Generation['status'][] = ['serving', 'retired', 'rejected'];

/**
 * What became different in the catalogue since the snapshot of the newest generation that was judged; without one, everything is
 * added. Both are read in the same order, row by row.
 * @throws LookalikeError `cancelled` | `corruptArtifact` | `notFound` when garbage collection took the snapshot
 */
export async function measureChanges(
  stores: Pick<Stores, 'artifacts' | 'registry'>,
  catalogue: string,
  signal: AbortSignal,
): Promise<CatalogueChanges> {
  const judged = (await stores.registry.generations.list(catalogue)).findLast(({ status }) => JUDGED.includes(status));
  const changes: CatalogueChanges = { since: judged?.number ?? null, added: 0, changed: 0, removed: 0 };
  const then = judged === undefined ? nothing() : readSnapshot(stores, judged.snapshot);
  const now = stores.registry.snapshotRows(catalogue)[Symbol.asyncIterator]();
  try {
    let [old, fresh] = [await nextOf(then), await nextOf(now)];
    for (; old !== null || fresh !== null; throwIfStopped(signal)) {
      const order = old === null ? 1 : fresh === null ? -1 : compareRows(old, fresh);
      if (order < 0) changes.removed++;
      else if (order > 0) changes.added++;
      else if (canonicalJson(old) !== canonicalJson(fresh)) changes.changed++;
      if (order <= 0) old = await nextOf(then);
      if (order >= 0) fresh = await nextOf(now);
    }
    return changes;
  } finally {
    await then.return(undefined);
    await now.return?.(undefined);
  }
}

/** By role, then by the bytes of the id: the order of snapshots. */
function compareRows(a: SnapshotRow, b: SnapshotRow): number {
  if (a.role !== b.role) return a.role < b.role ? -1 : 1;
  return Buffer.compare(Buffer.from(a.id), Buffer.from(b.id));
}

async function nextOf(rows: AsyncIterator<SnapshotRow>): Promise<SnapshotRow | null> {
  const step = await rows.next();
  return step.done === true ? null : step.value;
}

async function* nothing(): AsyncGenerator<SnapshotRow> {}
