import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Artifact } from '../../../contracts/artifacts.ts';
import { collectGarbage } from '../../../infra/artifacts/garbage.ts';
import { createSnapshot } from '../../../infra/snapshot/create-snapshot.ts';
import type { Stores } from '../../../infra/stores.ts';
import { openTestStores } from './open-test-stores.ts';
import { draft } from './store-suite.ts';
import { temporaryFolder } from './temporary-folder.ts';

const HOUR_MS = 3_600_000;
/** So much later that everything stored now is past its grace. */
const later = (): { graceMs: number; now: number } => ({ graceMs: HOUR_MS, now: Date.now() + 2 * HOUR_MS });
const item = { category: 'shoe', label: null, title: null, attributes: {} };

async function publish(stores: Stores, name: string, inputs: Record<string, string> = {}): Promise<Artifact> {
  return stores.artifacts.publish(draft({ inputs, config: { name }, files: { data: { bytes: Buffer.from(name) } } }));
}

async function isThere(stores: Stores, { id, manifest }: Artifact): Promise<boolean> {
  const ids = (await stores.artifacts.list()).map((artifact) => artifact.id);
  const blobs = await Promise.all(Object.values(manifest.files).map(({ sha256 }) => stores.blobs.has(sha256)));
  if (ids.includes(id) && !blobs.every(Boolean)) throw new Error(`${id} is listed but not whole.`);
  return ids.includes(id);
}

test('what generations, checkpoints and given roots lead to is kept, the rest goes with its files', async () => {
  const stores = await openTestStores();
  const { generations, checkpoints } = stores.registry;
  const backbone = await publish(stores, 'backbone');
  const model = await publish(stores, 'model', { backbone: backbone.id });
  const checkpoint = await publish(stores, 'checkpoint');
  const pinned = await publish(stores, 'pinned');
  const rejected = await publish(stores, 'rejected', { backbone: backbone.id });
  const orphan = await publish(stores, 'orphan');
  const abandoned = await publish(stores, 'abandoned');
  const started = await generations.create({ catalogue: 'c', snapshot: 's0', workflowId: 'w', workflowRunId: '0' });
  await generations.update('c', started.number, { model: abandoned.id });
  const failed = await generations.create({ catalogue: 'c', snapshot: 's2', workflowId: 'w', workflowRunId: '2' });
  await generations.update('c', failed.number, { model: rejected.id, status: 'rejected' });
  const kept = await generations.create({ catalogue: 'c', snapshot: 's1', workflowId: 'w', workflowRunId: '1' });
  await generations.update('c', kept.number, { model: model.id });
  await checkpoints.record('run', 10, checkpoint.id);

  const options = { ...later(), roots: [pinned.id] };
  const planned = await collectGarbage(stores, { ...options, dryRun: true });
  expect(planned.artifacts).toEqual([rejected.id, orphan.id, abandoned.id].sort());
  expect(await isThere(stores, orphan)).toBe(true);

  const report = await collectGarbage(stores, options);
  expect(report).toEqual({ ...planned, numDrafts: 0 });
  expect(report).toMatchObject({ numBlobs: 3, blobBytes: 'rejectedorphanabandoned'.length, numDerivations: 3 });
  for (const artifact of [backbone, model, checkpoint, pinned]) expect(await isThere(stores, artifact)).toBe(true);
  expect(await isThere(stores, rejected)).toBe(false);
  expect(await stores.blobs.has(orphan.manifest.files['data']!.sha256)).toBe(false);
  expect(await collectGarbage(stores, options)).toMatchObject({ artifacts: [], numBlobs: 0, numDerivations: 0 });
  // What went can be made again.
  expect((await publish(stores, 'orphan')).id).toBe(orphan.id);
});

test('pictures of live items, examples and kept snapshots stay; those of nobody go', async () => {
  const stores = await openTestStores();
  const { catalogue, generations } = stores.registry;
  const [live, example, past, unused] = await Promise.all(
    ['live', 'example', 'past', 'unused'].map((text) => stores.blobs.put(Buffer.from(text))),
  );
  await catalogue.upsertItems('c', [{ id: 'past', image: past!, ...item }]);
  const snapshot = await createSnapshot(stores, 'c');
  await generations.create({ catalogue: 'c', snapshot: snapshot.id, workflowId: 'w', workflowRunId: '1' });
  await catalogue.deleteItems('c', ['past']);
  await catalogue.upsertItems('c', [{ id: 'live', image: live!, ...item }]);
  await catalogue.upsertExamples('c', [{ id: 'e', image: example!, label: 'shoe', split: 'holdout' }]);

  await collectGarbage(stores, later());
  const there = await Promise.all([live, example, past, unused].map((sha256) => stores.blobs.has(sha256!)));
  expect(there).toEqual([true, true, true, false]);
});

test('nothing within its grace is touched: neither new artefacts and their inputs nor those found again', async () => {
  const dataDir = temporaryFolder();
  const stores = await openTestStores(dataDir);
  const found = await publish(stores, 'found');
  const input = await publish(stores, 'input');
  const longAgo = new Date(Date.now() - 10 * HOUR_MS);
  for await (const { key } of stores.objects.list('')) utimesSync(join(dataDir, 'artifacts', key), longAgo, longAgo);
  const fresh = await publish(stores, 'fresh', { input: input.id });
  const upload = await stores.blobs.put(Buffer.from('a picture whose row is about to be written'));
  expect((await stores.artifacts.find({ ...draft(), config: { name: 'found' }, inputs: {} }))?.id).toBe(found.id);

  const report = await collectGarbage(stores, { graceMs: HOUR_MS, now: Date.now() });
  expect(report).toMatchObject({ artifacts: [], numBlobs: 0 });
  for (const artifact of [found, input, fresh]) expect(await isThere(stores, artifact)).toBe(true);
  expect(await stores.blobs.has(upload)).toBe(true);
  await expect(collectGarbage(stores, { graceMs: 0, now: Date.now() })).rejects.toMatchObject({ code: 'invalidInput' });
});

test('in any graph of artefacts exactly the reachable ones survive, each of them whole', async () => {
  const graphs = fc.record({
    // Node i may lead to nodes before it.
    inputs: fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 8 }),
    roots: fc.array(fc.nat(), { maxLength: 2 }),
    sharedFile: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(graphs, async ({ inputs, roots, sharedFile }) => {
      const stores = await openTestStores();
      const nodes: { artifact: Artifact; before: number[] }[] = [];
      for (const [i, picks] of inputs.entries()) {
        const before = i === 0 ? [] : picks.map((pick) => pick % i);
        const named = Object.fromEntries(before.map((at, n) => [`in${n}`, nodes[at]!.artifact.id]));
        const bytes = Buffer.from(sharedFile ? 'shared' : `own ${i}`);
        const change = { inputs: named, config: { i }, files: { data: { bytes } } };
        nodes.push({ artifact: await stores.artifacts.publish(draft(change)), before });
      }
      const reachable = new Set<number>();
      const visit = (at: number): void => {
        if (reachable.has(at)) return;
        reachable.add(at);
        nodes[at]!.before.forEach(visit);
      };
      const rootNodes = roots.map((root) => root % nodes.length);
      rootNodes.forEach(visit);
      await collectGarbage(stores, { ...later(), roots: rootNodes.map((at) => nodes[at]!.artifact.id) });
      for (const [at, { artifact }] of nodes.entries()) expect(await isThere(stores, artifact)).toBe(reachable.has(at));
    }),
    { numRuns: 20 },
  );
});
