import { readdir, rm, stat, utimes } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { moveIntoPlace } from './atomic-file.ts';
import { orAbsent } from './or-absent.ts';

/** Local copies of remote objects, bounded in size, shared by all processes of an installation. */
export interface FileCache {
  /** The copy's path, if there is one; counts as a use. */
  use(key: string): Promise<string | undefined>;
  /** Puts a copy in place and makes room for it. @returns its path */
  fill(key: string, body: AsyncIterable<Uint8Array>): Promise<string>;
  /** @returns whether the copy was filled by this process */
  drop(key: string): Promise<boolean>;
}

/** Whoever was given a path opens it within this time; until then, and while the copy is used again, it stays. */
const GRACE_MS = 15 * 60_000;
/** Uses are written down no finer than this. */
const TOUCH_MS = 60_000;
/** A process looks over the whole cache whenever it has added this part of the limit. */
const LOOK_EVERY = 1 / 16;

/**
 * Keeps at most about `maxBytes`; the copies that were not used for longest go first. The time of the last use is the file's
 * access time, set here, so that processes agree on it without talking. What is open stays readable when it goes, as POSIX has
 * it; what was used a short while ago stays even if the limit does not.
 */
export function createFileCache(dir: string, maxBytes: number): FileCache {
  const filled = new Set<string>();
  const pathOf = (key: string): string => join(dir, ...key.split('/'));
  let addedBytes = Infinity;

  async function makeRoom(): Promise<void> {
    addedBytes = 0;
    const files: { path: string; bytes: number; usedAt: number }[] = [];
    for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const found = await orAbsent(stat(path));
      if (found !== undefined) files.push({ path, bytes: found.size, usedAt: lastUse(found) });
    }
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { path, bytes } of files.sort((a, b) => a.usedAt - b.usedAt)) {
      if (total <= maxBytes) return;
      // Another process may have come to use it since the listing.
      const now = await orAbsent(stat(path));
      if (now !== undefined && Date.now() - lastUse(now) < GRACE_MS) continue;
      await rm(path, { force: true });
      filled.delete(path);
      total -= bytes;
    }
  }

  return {
    async use(key) {
      const path = pathOf(key);
      const found = await orAbsent(stat(path));
      if (found === undefined) return undefined;
      if (Date.now() - lastUse(found) < TOUCH_MS) return path;
      return orAbsent(utimes(path, new Date(), found.mtime).then(() => path));
    },
    async fill(key, body) {
      const path = pathOf(key);
      await moveIntoPlace(path, body, join(dir, 'tmp'));
      // Whole milliseconds, so that later uses leave the time of change alone: it tells whether the bytes are still the same.
      const now = new Date();
      await orAbsent(utimes(path, now, now));
      filled.add(path);
      addedBytes += (await orAbsent(stat(path)))?.size ?? 0;
      if (addedBytes > maxBytes * LOOK_EVERY) await makeRoom();
      return path;
    },
    async drop(key) {
      const path = pathOf(key);
      await rm(path, { force: true });
      return filled.delete(path);
    },
  };
}

/** Drafts of processes that died were never used: then the time of writing counts. */
function lastUse({ atimeMs, mtimeMs }: Pick<Stats, 'atimeMs' | 'mtimeMs'>): number {
  return Math.max(atimeMs, mtimeMs);
}
