import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createArtifactStore } from '../../../infra/artifacts/artifact-store.ts';
import type { ObjectStore } from '../../../infra/artifacts/object-store.ts';
import { openS3ObjectStore } from '../../../infra/artifacts/s3-object-store.ts';
import { sha256Hex } from '../../../infra/artifacts/sha256.ts';
import { draft, storeSuite } from './store-suite.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { INSTALL_VERSITYGW, startS3, VERSITYGW } from './versitygw.ts';

const skipped = VERSITYGW === undefined;

describe.skipIf(skipped)(`an S3-compatible server${skipped ? ` (skipped: ${INSTALL_VERSITYGW})` : ''}`, () => {
  let server: Awaited<ReturnType<typeof startS3>>;
  const folder = mkdtempSync(join(tmpdir(), 'lookalike-s3-'));
  let numPrefixes = 0;

  beforeAll(async () => {
    server = await startS3(folder);
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (cacheDir = temporaryFolder(), prefix = `test ü${numPrefixes++}/x`): ObjectStore => {
    const store = openS3ObjectStore({ ...server.where, prefix }, cacheDir);
    onTestFinished(() => store.close());
    return store;
  };

  storeSuite('S3', () => Promise.resolve(open()));

  test('files are read again from the local cache, and fetched anew when the cache is damaged', async () => {
    const cacheDir = temporaryFolder();
    const prefix = 'cached';
    const { id } = await createArtifactStore(open(cacheDir, prefix)).publish(draft());
    const path = await createArtifactStore(open(cacheDir, prefix)).materialise(id, 'a.bin');
    expect(path.startsWith(cacheDir)).toBe(true);
    for (const damage of [() => truncateSync(path, 1), () => writeFileSync(path, 'alphA')]) {
      damage();
      expect(await createArtifactStore(open(cacheDir, prefix)).materialise(id, 'a.bin')).toBe(path);
      expect(readFileSync(path, 'utf8')).toBe('alpha');
    }
  });

  test('local copies keep to their limit, and what went is fetched again', async () => {
    const cacheDir = temporaryFolder();
    const prefix = 'limited';
    const limited = openS3ObjectStore({ ...server.where, prefix, cacheBytes: 6 }, cacheDir);
    onTestFinished(() => limited.close());
    const store = createArtifactStore(limited);
    const { id } = await store.publish(draft());
    const first = await store.materialise(id, 'a.bin');
    utimesSync(first, 1, 1);
    const second = await store.materialise(id, 'b.bin');
    expect([existsSync(first), existsSync(second)]).toEqual([false, true]);
    expect(readFileSync(await store.materialise(id, 'a.bin'), 'utf8')).toBe('alpha');
  });

  test('bytes that are damaged in the bucket itself are refused', async () => {
    const prefix = 'damaged';
    const { id, manifest } = await createArtifactStore(open(undefined, prefix)).publish(draft());
    const { sha256 } = manifest.files['a.bin']!;
    writeFileSync(join(folder, server.where.bucket, prefix, 'blobs', sha256.slice(0, 2), sha256), 'alphA');
    const store = createArtifactStore(open(undefined, prefix));
    await expect(store.materialise(id, 'a.bin')).rejects.toMatchObject({ code: 'corruptArtifact' });
  });

  test('the server refuses an upload whose bytes are not the announced ones', async () => {
    const objects = open();
    const path = join(temporaryFolder(), 'source');
    writeFileSync(path, 'after!');
    const expected = { sha256: sha256Hex('before'), sizeBytes: 6 };
    await expect(objects.putIfAbsent('blobs/aa/x', { path }, expected)).rejects.toThrow();
    expect(await objects.head('blobs/aa/x')).toBeUndefined();
  });

  test('files are uploaded from disk as they are', async () => {
    const path = join(temporaryFolder(), 'vectors.f32');
    writeFileSync(path, Buffer.alloc(3_000_000, 'vectors'));
    const store = createArtifactStore(open());
    const { id } = await store.publish(draft({ files: { 'vectors.f32': { path } } }));
    expect(readFileSync(await store.materialise(id, 'vectors.f32')).equals(readFileSync(path))).toBe(true);
  });

  test('listings longer than one page are complete', async () => {
    const objects = open();
    const bytes = Buffer.from('x');
    const expected = { sha256: sha256Hex(bytes), sizeBytes: 1 };
    const keys = Array.from({ length: 1_050 }, (_, i) => `blobs/aa/${String(i).padStart(5, '0')}`);
    for (let i = 0; i < keys.length; i += 50) {
      await Promise.all(keys.slice(i, i + 50).map((key) => objects.putIfAbsent(key, { bytes }, expected)));
    }
    const listed: string[] = [];
    for await (const { key } of objects.list('blobs/')) listed.push(key);
    expect(listed.sort()).toEqual(keys);
  });

  test('wrong keys and a service that is away are told apart', async () => {
    const wrong = openS3ObjectStore({ ...server.where, secretAccessKey: 'no' }, temporaryFolder());
    await expect(wrong.get('manifests/x')).rejects.toMatchObject({ code: 'invalidInput' });
    const away = openS3ObjectStore({ ...server.where, endpoint: 'http://127.0.0.1:1' }, temporaryFolder());
    await expect(away.get('manifests/x')).rejects.toMatchObject({ code: 'unavailable' });
  });
});
