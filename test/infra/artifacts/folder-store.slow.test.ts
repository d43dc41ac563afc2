import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createArtifactStore } from '../../../infra/artifacts/artifact-store.ts';
import { createBlobStore } from '../../../infra/artifacts/blob-store.ts';
import { openFolderObjectStore } from '../../../infra/artifacts/folder-object-store.ts';
import { sha256Hex } from '../../../infra/artifacts/sha256.ts';
import { draft, storeSuite } from './store-suite.ts';
import { temporaryFolder } from './temporary-folder.ts';

storeSuite('a folder', () => openFolderObjectStore(temporaryFolder()));

describe('damage on disk', () => {
  const damages = {
    truncated: (path: string) => truncateSync(path, 2),
    emptied: (path: string) => truncateSync(path, 0),
    grown: (path: string) => appendFileSync(path, '!'),
    altered: (path: string) => writeFileSync(path, 'alphA'),
  };

  test.each(Object.entries(damages))('a %s file is refused by name, with both hashes', async (_, damage) => {
    const store = createArtifactStore(await openFolderObjectStore(temporaryFolder()));
    const { id } = await store.publish(draft());
    const path = await store.materialise(id, 'a.bin');
    damage(path);
    await expect(store.materialise(id, 'a.bin')).rejects.toMatchObject({
      code: 'corruptArtifact',
      details: { file: path, expected: sha256Hex('alpha') },
    });
    // The others are as good as before.
    expect(readFileSync(await store.materialise(id, 'b.bin'), 'utf8')).toBe('beta');
  });

  test('a damaged blob and a damaged manifest are refused', async () => {
    const root = temporaryFolder();
    const objects = await openFolderObjectStore(root);
    const store = createArtifactStore(objects);
    const { id, manifest } = await store.publish(draft());
    const { sha256 } = manifest.files['a.bin']!;
    writeFileSync(join(root, 'blobs', sha256.slice(0, 2), sha256), 'alphA');
    await expect(createBlobStore(objects).get(sha256)).rejects.toMatchObject({ code: 'corruptArtifact' });
    const path = join(root, 'manifests', `${id}.json`);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"seed":7', '"seed":8'));
    await expect(store.get(id)).rejects.toMatchObject({ code: 'corruptArtifact', details: { expected: id } });
  });

  test('a truncated file is replaced when the same content is published again', async () => {
    const store = createArtifactStore(await openFolderObjectStore(temporaryFolder()));
    const { id } = await store.publish(draft());
    truncateSync(await store.materialise(id, 'a.bin'), 2);
    await store.publish(draft());
    expect(readFileSync(await store.materialise(id, 'a.bin'), 'utf8')).toBe('alpha');
  });

  test('a file that has not changed is not read through again', async () => {
    const store = createArtifactStore(await openFolderObjectStore(temporaryFolder()));
    const { id } = await store.publish(draft());
    const wholeSecond = new Date('2026-01-01T00:00:00Z');
    utimesSync(await store.materialise(id, 'a.bin'), wholeSecond, wholeSecond);
    const path = await store.materialise(id, 'a.bin');
    // Same length and time, other bytes: only a skipped read can miss it.
    writeFileSync(path, 'alphA');
    utimesSync(path, wholeSecond, wholeSecond);
    expect(await store.materialise(id, 'a.bin')).toBe(path);
    await expect(
      createArtifactStore(await openFolderObjectStore(join(path, '../../..'))).materialise(id, 'a.bin'),
    ).rejects.toMatchObject({ code: 'corruptArtifact' });
  });
});

test('a source that changes while it is stored is refused', async () => {
  const objects = await openFolderObjectStore(temporaryFolder());
  const expected = { sha256: sha256Hex('before'), sizeBytes: 6 };
  const put = objects.putIfAbsent('blobs/aa/x', { bytes: Buffer.from('after!') }, expected);
  await expect(put).rejects.toMatchObject({ code: 'corruptArtifact' });
  expect(await objects.head('blobs/aa/x')).toBeUndefined();
});

test('a publisher killed at any moment leaves nothing or the whole artefact', async () => {
  const root = temporaryFolder();
  const publisher = join(import.meta.dirname, 'publish-forever.ts');
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, [publisher, root, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] });
    // It prints a dot before each publish: the kill falls somewhere into the first few.
    for (let dots = 0; dots <= round;) dots += String(((await once(child.stdout, 'data')) as Buffer[])[0]).length;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const objects = await openFolderObjectStore(root);
  const store = createArtifactStore(objects);
  const artifacts = await store.list();
  expect(artifacts.length).toBeGreaterThan(0);
  for (const { id, manifest } of artifacts) {
    for (const name of Object.keys(manifest.files)) await store.materialise(id, name);
  }
  for await (const { key } of objects.list('derivations/')) {
    const id = String(await objects.get(key));
    expect((await store.get(id)).id).toBe(id);
  }
  for await (const { key } of objects.list('blobs/')) {
    expect(sha256Hex((await objects.get(key))!)).toBe(key.split('/').at(-1));
  }
  await objects.sweep(new Date(Date.now() + 60_000));
  expect(readdirSync(join(root, 'tmp'))).toEqual([]);
});
