import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { Artifact } from '../../contracts/artifacts.ts';
import type { SnapshotSummary } from '../../contracts/catalogue.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { canonicalJson } from '../artifacts/canonical-json.ts';
import { hashSource } from '../artifacts/sha256.ts';
import type { Stores } from '../stores.ts';
import { SNAPSHOT_FILE, throwIfStopped } from './read-snapshot.ts';

/**
 * Freezes a catalogue as a `snapshot` artefact: read in one transaction, written row by row, so it is of one moment and as
 * large as it likes. Equal catalogues give the same artefact. The registry keeps up to which change it goes.
 *
 * @throws LookalikeError `invalidInput` when the catalogue has no items | `cancelled`
 */
export async function createSnapshot(
  stores: Pick<Stores, 'artifacts' | 'registry'>,
  catalogue: string,
  signal?: AbortSignal,
): Promise<Artifact> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-snapshot-'));
  try {
    const path = join(folder, SNAPSHOT_FILE);
    const { seq, ...summary } = await writeRows(stores, catalogue, path, signal);
    if (summary.numItems === 0) {
      throw new LookalikeError(
        'invalidInput',
        `Expected catalogue "${catalogue}" to have items, found none. Import some: lookalike catalogue import.`,
      );
    }
    const { sha256 } = await hashSource({ path });
    const made = await stores.artifacts.publish({
      kind: 'snapshot',
      // A catalogue changes under its name: only its content says which snapshot this is.
      inputs: { items: `sha256:${sha256}` },
      config: { catalogue },
      seed: null,
      summary,
      metrics: {},
      files: { [SNAPSHOT_FILE]: { path } },
    });
    await stores.registry.changes.recordSnapshot(catalogue, made.id, seq);
    return made;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeRows(
  { registry }: Pick<Stores, 'registry'>,
  catalogue: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<SnapshotSummary & { seq: number }> {
  let seq = 0;
  const images = new Set<string>();
  const count = { item: 0, example: 0 };
  const out = createWriteStream(path);
  // A full disk shows here, and ends the loop below, instead of as an unheard event.
  const done = finished(out);
  done.catch(() => undefined);
  try {
    for await (const row of registry.snapshotRows(catalogue, (now) => (seq = now))) {
      throwIfStopped(signal);
      count[row.role]++;
      images.add(row.image);
      if (!out.write(`${canonicalJson(row)}\n`)) await Promise.race([once(out, 'drain'), done]);
    }
  } finally {
    out.end();
  }
  await done;
  return { seq, catalogue, numItems: count.item, numExamples: count.example, numImages: images.size };
}
