import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CatalogueItem } from '../../../contracts/catalogue.ts';
import { createSnapshot } from '../../../infra/snapshot/create-snapshot.ts';
import { readSnapshot, readSnapshotRows } from '../../../infra/snapshot/read-snapshot.ts';
import { openTestStores } from '../artifacts/open-test-stores.ts';

const item = (id: string, title: string | null = null): CatalogueItem => ({
  id,
  image: 'a'.repeat(64),
  category: 'shoe',
  label: null,
  title,
  attributes: { b: 1, a: [null] },
});

test('reads back as examples, then items, sorted by the bytes of their ids', async () => {
  const stores = await openTestStores();
  const rows = ['b', '😀', 'ﬁ', 'Z', 'a'].map((id) => item(id, 'line\u2028break\n"'));
  await stores.registry.catalogue.upsertItems('c', rows);
  await stores.registry.catalogue.upsertItems('other', [item('x')]);
  const example = { id: 'z', image: 'b'.repeat(64), label: 'shoe', split: 'holdout' as const };
  await stores.registry.catalogue.upsertExamples('c', [example]);
  const snapshot = await createSnapshot(stores, 'c');
  expect(snapshot.manifest.summary).toEqual({ catalogue: 'c', numItems: 5, numExamples: 1, numImages: 2 });
  const sorted = rows.sort((a, b) => Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)));
  expect(await readSnapshotRows(stores, snapshot.id)).toEqual([
    { role: 'example', ...example },
    ...sorted.map((row) => ({ role: 'item', ...row })),
  ]);
});

test('equal catalogues give one artefact however they came about, any difference another', async () => {
  const itemsOf = fc.uniqueArray(fc.record({ id: fc.string({ minLength: 1 }), title: fc.option(fc.string()) }), {
    selector: ({ id }) => id,
    minLength: 1,
    maxLength: 6,
  });
  const valid = itemsOf.filter((rows) => rows.every(({ id, title }) => !`${id}${title}`.includes('\0')));
  const stores = await openTestStores();
  const { catalogue } = stores.registry;
  let run = 0;
  await fc.assert(
    fc.asyncProperty(valid, async (rows) => {
      const name = `c${run++}`;
      await catalogue.upsertItems(
        name,
        rows.map(({ id, title }) => item(id, title)),
      );
      const first = await createSnapshot(stores, name);
      await catalogue.upsertItems(name, [item('extra')]);
      await catalogue.deleteItems(name, [...rows.map(({ id }) => id), 'extra']);
      for (const { id, title } of rows.reverse()) await catalogue.upsertItems(name, [item(id, title)]);
      expect((await createSnapshot(stores, name)).id).toBe(first.id);
      await catalogue.upsertItems(name, [item(rows[0]!.id, `${rows[0]!.title}!`)]);
      expect((await createSnapshot(stores, name)).id).not.toBe(first.id);
    }),
    { numRuns: 15 },
  );
});

test('a catalogue of several pages is complete, and can be left half-read', async () => {
  const stores = await openTestStores();
  const rows = Array.from({ length: 5_000 }, (_, i) => item(`i${String(i).padStart(5, '0')}`));
  await stores.registry.catalogue.upsertItems('c', rows);
  const { id } = await createSnapshot(stores, 'c');
  expect((await readSnapshotRows(stores, id)).map((row) => row.id)).toEqual(rows.map((row) => row.id));
  for await (const row of readSnapshot(stores, id)) {
    expect(row.id).toBe('i00000');
    break;
  }
  for await (const row of stores.registry.snapshotRows('c')) {
    expect(row.id).toBe('i00000');
    break;
  }
  // The abandoned reading left no transaction open.
  expect(await stores.registry.catalogue.upsertItems('c', [item('later')])).toEqual(['added']);
});

test('an empty catalogue has no snapshot, and a damaged snapshot is refused', async () => {
  const stores = await openTestStores();
  await expect(createSnapshot(stores, 'none')).rejects.toThrow(/Expected catalogue "none" to have items/);
  await stores.registry.catalogue.upsertItems('c', [item('a')]);
  const { id } = await createSnapshot(stores, 'c');
  const path = await stores.artifacts.materialise(id, 'items.jsonl');
  writeFileSync(path, readFileSync(path, 'utf8').replace('shoe', 'boot'));
  await expect(readSnapshotRows(stores, id)).rejects.toMatchObject({ code: 'corruptArtifact' });
});
