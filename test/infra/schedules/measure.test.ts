import { beforeEach, describe, expect, it } from 'vitest';
import { measureChanges } from '../../../infra/schedules/measure-changes.ts';
import { measureDrift } from '../../../infra/schedules/measure-drift.ts';
import { createSnapshot } from '../../../infra/snapshot/create-snapshot.ts';
import type { Stores } from '../../../infra/stores.ts';
import { openTestStores } from '../artifacts/open-test-stores.ts';
import { item } from '../registry/registry-suite.ts';

const { signal } = new AbortController();
let stores: Stores;

beforeEach(async () => {
  stores = await openTestStores();
});

async function generation(status: 'retired' | 'rejected' | 'failed' | 'building'): Promise<void> {
  const { generations } = stores.registry;
  const snapshot = (await createSnapshot(stores, 'shop')).id;
  const run = `${status}-${(await generations.list('shop')).length}`;
  const { number } = await generations.create({ catalogue: 'shop', snapshot, workflowId: 'w', workflowRunId: run });
  await generations.update('shop', number, { status });
}

describe('changes of a catalogue', () => {
  it('are all of it where no generation was judged', async () => {
    const { catalogue } = stores.registry;
    expect(await measureChanges(stores, 'shop', signal)).toEqual({ since: null, added: 0, changed: 0, removed: 0 });
    await catalogue.upsertItems('shop', [item('a'), item('b')]);
    await catalogue.upsertExamples('shop', [{ id: 'a', image: 'b'.repeat(64), label: 'x', split: 'train' }]);
    await generation('failed');
    expect(await measureChanges(stores, 'shop', signal)).toMatchObject({ since: null, added: 3 });
  });

  it('count from the newest generation that was judged, serving or not, by kind', async () => {
    const { catalogue } = stores.registry;
    await catalogue.upsertItems('shop', [item('a'), item('ä'), item('😀'), item('￿'), item('z')]);
    await generation('retired');
    await catalogue.upsertItems('shop', [item('y')]);
    await generation('rejected');
    await generation('building');
    expect(await measureChanges(stores, 'shop', signal)).toEqual({ since: 2, added: 0, changed: 0, removed: 0 });

    await catalogue.upsertItems('shop', [item('ä', { title: 'other' }), item('b'), item('😀😀'), item('zz')]);
    await catalogue.deleteItems('shop', ['a', '￿']);
    await catalogue.upsertExamples('shop', [{ id: 'e', image: 'b'.repeat(64), label: 'x', split: 'holdout' }]);
    expect(await measureChanges(stores, 'shop', signal)).toEqual({ since: 2, added: 4, changed: 1, removed: 2 });
  });

  it('stop to be counted on a cancel', async () => {
    await stores.registry.catalogue.upsertItems('shop', [item('a')]);
    await expect(measureChanges(stores, 'shop', AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('drift of queries', () => {
  const at = (degrees: number) => {
    const radians = (degrees / 180) * Math.PI;
    return Float32Array.of(Math.cos(radians), Math.sin(radians));
  };

  async function serve(): Promise<void> {
    const vectors = [at(0), at(1)];
    const draft = { inputs: {}, config: {}, seed: null, metrics: {} };
    const embeddings = await stores.artifacts.publish({
      ...draft,
      kind: 'embeddings',
      summary: { numImages: 2, views: 1, dim: 2 },
      files: {
        'images.txt': { bytes: Buffer.from(`${'a'.repeat(64)}\n${'b'.repeat(64)}\n`) },
        'rejected.jsonl': { bytes: Buffer.from('') },
        'vectors.f32': { bytes: Buffer.concat(vectors.map((vector) => Buffer.from(vector.buffer))) },
      },
    });
    const shard = await stores.artifacts.publish({ ...draft, kind: 'shard', summary: {}, files: {} });
    const model = await stores.artifacts.publish({ ...draft, kind: 'model', summary: { dim: 2 }, files: {} });
    const index = await stores.artifacts.publish({
      ...{ ...draft, inputs: { shard0: shard.id } },
      ...{ kind: 'index', summary: { dim: 2 }, files: {} },
    });
    const { generations } = stores.registry;
    const run = { catalogue: 'shop', snapshot: 's', workflowId: 'w', workflowRunId: 'r' };
    const { number } = await generations.create(run);
    await generations.update('shop', number, { model: model.id, index: index.id, embeddings: embeddings.id });
    await generations.switchTo('shop', number);
  }

  it('is told once something serves, and by the model that serves only', async () => {
    expect(await measureDrift(stores, 'shop', signal)).toMatchObject({ generation: null });
    await serve();
    await stores.registry.queries.add('shop', 'another model', at(90));
    expect(await measureDrift(stores, 'shop', signal)).toMatchObject({
      ...{ generation: 1, numReference: 0, numRecent: 0, reference: null, recent: null, standardError: null },
    });
  });

  it('is how much further from the nearest item the newest queries are than the first ones', async () => {
    await serve();
    const model = (await stores.registry.generations.list('shop', 'serving'))[0]!.model!;
    for (let i = 0; i < 256; i++) await stores.registry.queries.add('shop', model, at(i % 2 === 0 ? -10 : 11));
    for (let i = 0; i < 300; i++) await stores.registry.queries.add('shop', model, at(i % 2 === 0 ? -60 : 61));
    const drift = await measureDrift(stores, 'shop', signal);
    expect(drift).toMatchObject({ generation: 1, numReference: 256, numRecent: 256 });
    expect(drift.reference).toBeCloseTo(Math.cos(Math.PI / 18), 5);
    expect(drift.recent).toBeCloseTo(0.5, 5);
    expect(drift.standardError).toBeLessThan(1e-6);
  });
});
