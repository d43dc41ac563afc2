import { stat } from 'node:fs/promises';
import { LookalikeError } from '../../contracts/errors.ts';
import { blobKey } from './keys.ts';
import type { ObjectStore } from './object-store.ts';
import { hashSource } from './sha256.ts';

/** Gives local paths to blobs whose checksum held when this process last saw the file change. */
export interface VerifiedFiles {
  /** @throws LookalikeError `notFound` | `corruptArtifact` */
  path(sha256: string, sizeBytes: number | undefined, what: string): Promise<string>;
}

export function createVerifiedFiles(objects: ObjectStore): VerifiedFiles {
  // Path -> the file's state when its hash was right: a shard that many queries open is not read through each time.
  const verified = new Map<string, string>();

  async function verify(path: string, sha256: string, sizeBytes: number | undefined, what: string): Promise<void> {
    const { size, mtimeNs, ino } = await stat(path, { bigint: true });
    const state = `${sha256}:${ino}:${size}:${mtimeNs}`;
    if (verified.get(path) === state) return;
    // A wrong length proves damage without reading the file.
    const found =
      sizeBytes !== undefined && BigInt(sizeBytes) !== size
        ? { sha256: `${size} bytes instead of ${sizeBytes}` }
        : await hashSource({ path });
    if (found.sha256 !== sha256) throw corrupt(what, path, sha256, found.sha256);
    verified.set(path, state);
  }

  return {
    async path(sha256, sizeBytes, what) {
      const key = blobKey(sha256);
      for (;;) {
        const path = await objects.localFile(key);
        if (path === undefined) {
          throw new LookalikeError(
            'notFound',
            `Expected ${what} as ${key} in ${objects.location}, but it is not there.`,
          );
        }
        try {
          await verify(path, sha256, sizeBytes, what);
          return path;
        } catch (error) {
          if (!(error instanceof LookalikeError) || !(await objects.dropLocalFile(key))) throw error;
        }
      }
    },
  };
}

/** The one wording of "stored bytes are not what was stored". */
export function corrupt(what: string, where: string, expected: string, found: string): LookalikeError {
  return new LookalikeError(
    'corruptArtifact',
    `Expected ${what} (${where}) to have SHA-256 ${expected}, found ${found}. ` +
      'Check the disk, then restore the file from a copy, or delete it and run again: what made it is computed anew.',
    { file: where, expected, found },
  );
}
