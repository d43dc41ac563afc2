import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ArtifactDraft } from '../../../contracts/artifacts.ts';
import { createArtifactStore } from '../../../infra/artifacts/artifact-store.ts';
import { createBlobStore } from '../../../infra/artifacts/blob-store.ts';
import type { ObjectStore } from '../../../infra/artifacts/object-store.ts';
import { sha256Hex } from '../../../infra/artifacts/sha256.ts';

const TIMES_MAY_BE_WHOLE_SECONDS = { timeout: 5_000, interval: 200 };

export function draft(change: Partial<ArtifactDraft> = {}): ArtifactDraft {
  return {
    kind: 'model',
    inputs: { snapshot: 'snapshot-00000000000000000000000000000000' },
    config: { b: 1, a: 'x' },
    seed: 7,
    summary: { dim: 4 },
    metrics: { recall: 0.5 },
    files: { 'a.bin': { bytes: Buffer.from('alpha') }, 'b.bin': { bytes: Buffer.from('beta') } },
    ...change,
  };
}

/** What every object store must let artefacts do. */
export function storeSuite(name: string, open: () => Promise<ObjectStore>): void {
  describe(`artefacts on ${name}`, () => {
    test('what was published is found by id, by derivation and file by file', async () => {
      const store = createArtifactStore(await open());
      const published = await store.publish(draft());
      expect(published.id).toMatch(/^model-[0-9a-f]{32}$/);
      expect(await store.get(published.id)).toEqual(published);
      expect(await store.find(draft())).toEqual(published);
      expect(readFileSync(await store.materialise(published.id, 'a.bin'), 'utf8')).toBe('alpha');
      expect(readFileSync(await store.materialise(published.id, 'b.bin'), 'utf8')).toBe('beta');
    });

    test('equal content gets an equal id, any difference another', async () => {
      const store = createArtifactStore(await open());
      const { id } = await store.publish(draft());
      expect((await store.publish(draft({ config: { a: 'x', b: 1 } }))).id).toBe(id);
      const others = [
        { seed: 8 },
        { config: { b: 2 } },
        { inputs: {} },
        { summary: { dim: 5 } },
        { metrics: {} },
        { files: {} },
      ];
      const ids = await Promise.all(others.map(async (change) => (await store.publish(draft(change))).id));
      expect(new Set([id, ...ids]).size).toBe(others.length + 1);
    });

    test('another code version does not find what this one made', async () => {
      const objects = await open();
      await createArtifactStore(objects, '1.0.0').publish(draft());
      expect(await createArtifactStore(objects, '1.0.0').find(draft())).toBeDefined();
      expect(await createArtifactStore(objects, '1.0.1').find(draft())).toBeUndefined();
    });

    test('of two results of one derivation the first stays the answer', async () => {
      const store = createArtifactStore(await open());
      const first = await store.publish(draft());
      const second = await store.publish(draft({ metrics: { recall: 0.6 } }));
      expect(second.id).not.toBe(first.id);
      expect((await store.find(draft()))?.id).toBe(first.id);
    });

    test('a derivation whose files were lost is not found, and publishing again mends it', async () => {
      const objects = await open();
      const store = createArtifactStore(objects);
      const { id, manifest } = await store.publish(draft());
      const { sha256 } = manifest.files['a.bin']!;
      await objects.delete(`blobs/${sha256.slice(0, 2)}/${sha256}`);
      expect(await store.find(draft())).toBeUndefined();
      expect((await store.publish(draft())).id).toBe(id);
      expect(readFileSync(await store.materialise(id, 'a.bin'), 'utf8')).toBe('alpha');
      expect((await store.find(draft()))?.id).toBe(id);
    });

    test('unknown ids, unknown files and names that lead elsewhere are not found', async () => {
      const store = createArtifactStore(await open());
      const { id } = await store.publish(draft());
      const notFound = expect.objectContaining({ code: 'notFound' }) as Error;
      await expect(store.get('model-00000000000000000000000000000000')).rejects.toEqual(notFound);
      await expect(store.get('../../etc/passwd')).rejects.toEqual(notFound);
      await expect(store.materialise(id, 'toString')).rejects.toEqual(notFound);
      await expect(store.materialise(id, 'c.bin')).rejects.toThrow(/file "c.bin"; it has a.bin, b.bin/);
    });

    test('lists one kind or all, newest first', async () => {
      const store = createArtifactStore(await open());
      const model = await store.publish(draft());
      const plan = await store.publish(draft({ kind: 'embeddingPlan' }));
      await store.publish(draft({ kind: 'embeddings' }));
      const all = await store.list();
      expect(all).toHaveLength(3);
      const times = all.map(({ storedAt }) => Date.parse(storedAt));
      expect(times).toEqual([...times].sort((a, b) => b - a));
      expect((await store.list('model')).map(({ id }) => id)).toEqual([model.id]);
      expect((await store.list('embeddingPlan')).map(({ id }) => id)).toEqual([plan.id]);
      expect(await store.list('shard')).toEqual([]);
    });

    test('concurrent publishers of one artefact all get it, whole', async () => {
      const objects = await open();
      const bytes = Buffer.alloc(300_000, 7);
      const ids = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const store = createArtifactStore(objects);
          return (await store.publish(draft({ files: { big: { bytes } } }))).id;
        }),
      );
      expect(new Set(ids).size).toBe(1);
      const path = await createArtifactStore(objects).materialise(ids[0]!, 'big');
      expect(sha256Hex(readFileSync(path))).toBe(sha256Hex(bytes));
    });
  });

  describe(`blobs on ${name}`, () => {
    test('come back byte for byte under their hash', async () => {
      const blobs = createBlobStore(await open());
      for (const bytes of [Buffer.alloc(0), Buffer.from([0, 255, 10, 13]), Buffer.alloc(2_000_000, 'lookalike')]) {
        const sha256 = await blobs.put(bytes);
        expect(sha256).toBe(sha256Hex(bytes));
        expect(await blobs.put(bytes)).toBe(sha256);
        expect(await blobs.has(sha256)).toBe(true);
        expect((await blobs.get(sha256)).equals(bytes)).toBe(true);
      }
    });

    test('that were never stored are not there', async () => {
      const blobs = createBlobStore(await open());
      expect(await blobs.has(sha256Hex('nothing'))).toBe(false);
      await expect(blobs.get(sha256Hex('nothing'))).rejects.toMatchObject({ code: 'notFound' });
      await expect(blobs.get('../registry.sqlite')).rejects.toMatchObject({ code: 'notFound' });
    });

    test('refreshing makes an object younger and leaves its bytes alone', async () => {
      const objects = await open();
      const blobs = createBlobStore(objects);
      const sha256 = await blobs.put(Buffer.from('alpha'));
      const key = `blobs/${sha256.slice(0, 2)}/${sha256}`;
      const before = (await objects.head(key))!.storedAt.getTime();
      await expect
        .poll(async () => {
          await objects.refresh(key);
          return (await objects.head(key))!.storedAt.getTime();
        }, TIMES_MAY_BE_WHOLE_SECONDS)
        .toBeGreaterThan(before);
      expect((await blobs.get(sha256)).toString()).toBe('alpha');
      await objects.refresh('blobs/00/none');
    });
  });
}
