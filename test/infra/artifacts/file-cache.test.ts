import { closeSync, existsSync, openSync, readFileSync, readSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createFileCache } from '../../../infra/artifacts/file-cache.ts';
import { temporaryFolder } from './temporary-folder.ts';

const LIMIT = 10_000;
const HOUR_MS = 3_600_000;

const body = (bytes: number, text = 'x'): AsyncIterable<Uint8Array> =>
  (async function* () {
    yield Buffer.alloc(bytes, text);
  })();
/** As if nobody had used or written it for so long. */
function age(path: string, hours: number): void {
  const then = new Date(Math.floor(Date.now()) - hours * HOUR_MS);
  utimesSync(path, then, then);
}
const sizeOf = (paths: string[]): number =>
  paths.filter((path) => existsSync(path)).reduce((sum, path) => sum + statSync(path).size, 0);

test('copies unused for longest go when the limit is reached, whichever process filled them', async () => {
  const dir = temporaryFolder();
  const [one, other] = [createFileCache(dir, LIMIT), createFileCache(dir, LIMIT)];
  const paths: string[] = [];
  for (let i = 0; i < 20; i++) {
    const path = await (i % 2 ? one : other).fill(`blobs/${i}`, body(1_000));
    age(path, 100 - i);
    paths.push(path);
  }
  expect(sizeOf(paths)).toBeLessThanOrEqual(LIMIT);
  expect(paths.map((path) => existsSync(path))).toEqual(paths.map((_, i) => i >= 10));
});

test('a use makes a copy young again, and does not look like a change of its bytes', async () => {
  const cache = createFileCache(temporaryFolder(), LIMIT);
  const used = await cache.fill('blobs/used', body(4_000));
  const idle = await cache.fill('blobs/idle', body(4_000));
  for (const path of [used, idle]) age(path, 1);
  const before = statSync(used, { bigint: true });
  expect(await cache.use('blobs/used')).toBe(used);
  const after = statSync(used, { bigint: true });
  expect(after.mtimeNs).toBe(before.mtimeNs);
  expect(after.atimeMs).toBeGreaterThan(before.atimeMs);
  await cache.fill('blobs/new', body(4_000));
  expect([existsSync(used), existsSync(idle)]).toEqual([true, false]);
  expect(await cache.use('blobs/idle')).toBeUndefined();
});

test('what was given out a moment ago stays even beyond the limit', async () => {
  const cache = createFileCache(temporaryFolder(), LIMIT);
  const paths = [];
  for (let i = 0; i < 4; i++) paths.push(await cache.fill(`blobs/${i}`, body(LIMIT)));
  expect(paths.every((path) => existsSync(path))).toBe(true);
  expect(readFileSync(paths[0]!)).toHaveLength(LIMIT);
});

test('a copy that somebody has open is read to its end', async () => {
  const cache = createFileCache(temporaryFolder(), LIMIT);
  const path = await cache.fill('blobs/open', body(LIMIT, 'o'));
  const file = openSync(path, 'r');
  age(path, 1);
  await cache.fill('blobs/next', body(LIMIT));
  expect(existsSync(path)).toBe(false);
  const bytes = Buffer.alloc(LIMIT);
  expect(readSync(file, bytes, 0, LIMIT, 0)).toBe(LIMIT);
  closeSync(file);
  expect(bytes.equals(Buffer.alloc(LIMIT, 'o'))).toBe(true);
});

test('drafts that processes left behind go too, copies under way do not', async () => {
  const dir = temporaryFolder();
  const cache = createFileCache(dir, LIMIT);
  const left = await cache.fill('tmp/1-left', body(LIMIT));
  const underWay = await cache.fill('tmp/2-under-way', body(1_000));
  age(left, 24);
  await cache.fill('blobs/new', body(1_000));
  expect([existsSync(left), existsSync(underWay)]).toEqual([false, true]);
  expect(existsSync(join(dir, 'blobs', 'new'))).toBe(true);
});
