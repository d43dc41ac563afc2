import type { BlobStore, FileSource } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { blobKey } from './keys.ts';
import type { ObjectStore } from './object-store.ts';
import { hashSource, sha256Hex } from './sha256.ts';
import { corrupt } from './verified-files.ts';

export function createBlobStore(objects: ObjectStore): BlobStore {
  return {
    put: async (bytes) => (await putBlob(objects, { bytes })).sha256,
    async get(sha256) {
      const key = blobKey(sha256);
      const bytes = await objects.get(key);
      if (bytes === undefined) {
        throw new LookalikeError(
          'notFound',
          `Expected the blob ${sha256} in ${objects.location}, but it is not there.`,
        );
      }
      const found = sha256Hex(bytes);
      if (found !== sha256) throw corrupt('a blob', `${objects.location}/${key}`, sha256, found);
      return bytes;
    },
    has: async (sha256) => (await objects.head(blobKey(sha256))) !== undefined,
  };
}

/** Stores a blob; one that is there already is made young again, for whoever stores it is about to refer to it. */
export async function putBlob(
  objects: ObjectStore,
  source: FileSource,
): Promise<{ sha256: string; sizeBytes: number }> {
  const file = await hashSource(source);
  const key = blobKey(file.sha256);
  if (!(await objects.putIfAbsent(key, source, file))) await objects.refresh(key);
  return file;
}
