import type { ShardSummary } from '../../contracts/ann.ts';
import type { ArtifactStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { INDEX_FILE, ROWS_FILE } from './files.ts';
import { openShard } from './shard.ts';
import type { Shard, ShardFiles } from './shard.ts';

/** What this folder needs of the stores. */
export interface ShardStores {
  artifacts: ArtifactStore;
}

/**
 * Brings a shard's files to this machine, checksums verified.
 * @throws LookalikeError `notFound` | `corruptArtifact` | `invalidInput` when the artefact is no shard
 */
export async function fetchShard(stores: ShardStores, id: string): Promise<ShardFiles> {
  const { manifest } = await stores.artifacts.get(id);
  if (manifest.kind !== 'shard') {
    throw new LookalikeError('invalidInput', `Expected ${id} to be a shard, got an artefact of kind ${manifest.kind}.`);
  }
  const [indexPath, rowsPath] = await Promise.all([
    stores.artifacts.materialise(id, INDEX_FILE),
    stores.artifacts.materialise(id, ROWS_FILE),
  ]);
  return { artifact: id, summary: manifest.summary as unknown as ShardSummary, indexPath, rowsPath };
}

/** @throws LookalikeError as `fetchShard` and `openShard` */
export async function loadShard(stores: ShardStores, id: string): Promise<Shard> {
  return openShard(await fetchShard(stores, id));
}
