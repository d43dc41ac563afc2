import { mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { writeFileIfAbsent } from './atomic-file.ts';
import type { ObjectInfo, ObjectStore } from './object-store.ts';
import { orAbsent } from './or-absent.ts';

/** Objects as files below `root`; drafts in `root/tmp`, on the same file system so that a link can place them. */
export async function openFolderObjectStore(root: string): Promise<ObjectStore> {
  const tmpDir = join(root, 'tmp');
  await mkdir(tmpDir, { recursive: true });
  const pathOf = (key: string): string => join(root, ...key.split('/'));
  const head = async (key: string): Promise<ObjectInfo | undefined> => {
    const found = await orAbsent(stat(pathOf(key)));
    return found && { key, sizeBytes: found.size, storedAt: found.mtime };
  };

  return {
    location: root,
    head,
    async putIfAbsent(key, source, expected) {
      const found = await head(key);
      if (found?.sizeBytes === expected.sizeBytes) return false;
      // A wrong length means damage; the bytes at hand are the right ones.
      if (found !== undefined) await rm(pathOf(key), { force: true });
      return writeFileIfAbsent(pathOf(key), source, expected, tmpDir);
    },
    async refresh(key) {
      const now = new Date();
      await orAbsent(utimes(pathOf(key), now, now));
    },
    get: (key) => orAbsent(readFile(pathOf(key))),
    list: (prefix) => listFolder(root, prefix),
    delete: (key) => rm(pathOf(key), { force: true }),
    async localFile(key) {
      return (await head(key)) && pathOf(key);
    },
    dropLocalFile: () => Promise.resolve(false),
    async sweep(before) {
      let swept = 0;
      for (const name of await readdir(tmpDir)) {
        const found = await orAbsent(stat(join(tmpDir, name)));
        if (found === undefined || found.mtime >= before) continue;
        await rm(join(tmpDir, name), { force: true });
        swept++;
      }
      return swept;
    },
    close: () => undefined,
  };
}

async function* listFolder(root: string, prefix: string): AsyncGenerator<ObjectInfo> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const entries = (await orAbsent(readdir(join(root, folder), { withFileTypes: true, recursive: true }))) ?? [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const key = path
      .slice(root.length + 1)
      .split(sep)
      .join('/');
    if (!key.startsWith(prefix)) continue;
    // Another process may have collected it since the listing.
    const found = await orAbsent(stat(path));
    if (found !== undefined) yield { key, sizeBytes: found.size, storedAt: found.mtime };
  }
}
