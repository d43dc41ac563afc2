import { join } from 'node:path';
import { z } from 'zod';
import type { ArtifactStore, BlobStore } from '../contracts/artifacts.ts';
import { createArtifactStore } from './artifacts/artifact-store.ts';
import { createBlobStore } from './artifacts/blob-store.ts';
import { openFolderObjectStore } from './artifacts/folder-object-store.ts';
import type { ObjectStore } from './artifacts/object-store.ts';
import { openS3ObjectStore } from './artifacts/s3-object-store.ts';
import type { Config } from './config/env.ts';
import type { Logger } from './log/logger.ts';
import type { ShapeOf } from './registry/generation-store.ts';
import { openRegistry } from './registry/registry.ts';
import type { SqlRegistry } from './registry/registry.ts';

/** Everything an installation keeps: immutable bytes and the changing registry that refers to them. */
export interface Stores {
  artifacts: ArtifactStore;
  blobs: BlobStore;
  registry: SqlRegistry;
  /** The space that artefacts and blobs share; garbage collection works on it. */
  objects: ObjectStore;
  close(): Promise<void>;
}

/**
 * Opens the stores that the configuration names, creating and migrating what is missing. Safe in many processes at once.
 *
 * @throws LookalikeError `unavailable` when the database does not answer
 */
export async function openStores(
  config: Pick<Config, 'dataDir' | 'databaseUrl' | 'artifacts'>,
  logger?: Logger,
): Promise<Stores> {
  const objects =
    config.artifacts.kind === 'folder'
      ? await openFolderObjectStore(config.artifacts.path)
      : openS3ObjectStore(config.artifacts, join(config.dataDir, 'object-cache'));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => objects.close());
  const artifacts = createArtifactStore(objects);
  const registry = await openRegistry(config, shapeFrom(artifacts), (error) =>
    logger?.warn({ err: error }, 'An idle database connection broke; the pool replaces it.'),
  );
  opened.move();
  return {
    artifacts,
    blobs: createBlobStore(objects),
    registry,
    objects,
    async close() {
      await registry.close();
      objects.close();
    },
  };
}

const Dim = z.object({ dim: z.number().int().positive() });

/** What routers must know of a generation: the model's dimension, and how many shards the index names. */
function shapeFrom(artifacts: ArtifactStore): ShapeOf {
  return async (model, index) => {
    const { dim } = Dim.parse((await artifacts.get(model)).manifest.summary);
    const { inputs } = (await artifacts.get(index)).manifest;
    return { dim, numShards: Object.keys(inputs).filter((role) => /^shard\d+$/.test(role)).length };
  };
}
