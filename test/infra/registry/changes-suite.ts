import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CatalogueItem } from '../../../contracts/catalogue.ts';
import type { CatalogueChange, ItemWrite, WriteOutcome } from '../../../contracts/changes.ts';
import type { SqlRegistry } from '../../../infra/registry/registry.ts';
import type { OpenMore } from './registry-suite.ts';

const picture = (letter: string): string => letter.repeat(64);
const anId = fc.constantFrom('a', 'b', 'ä', "'", '😀');
const aWrite: fc.Arbitrary<ItemWrite> = fc.oneof(
  fc
    .record({
      id: anId,
      image: fc.option(fc.constantFrom('x', 'y').map(picture)),
      category: fc.option(fc.constantFrom('shoe', 'bag')),
      attributes: fc.constantFrom<CatalogueItem['attributes'][]>({}, { price: 1 }, { price: 2 }),
    })
    .map((fields) => ({ put: { label: null, title: null, ...fields } })),
  anId.map((id) => ({ delete: id })),
);

interface Entry {
  item: CatalogueItem;
  seq: number;
  imageSeq: number;
}

/** A catalogue in plain words: what the registry must agree with. */
class Model {
  readonly items = new Map<string, Entry>();
  readonly deleted = new Map<string, number>();
  seq = 0;

  write(write: ItemWrite): WriteOutcome {
    if ('delete' in write) {
      if (!this.items.delete(write.delete)) return 'absent';
      this.deleted.set(write.delete, ++this.seq);
      return 'deleted';
    }
    const old = this.items.get(write.put.id);
    const image = write.put.image ?? old?.item.image;
    if (image === undefined) return 'noPicture';
    const item = { ...write.put, image };
    if (old !== undefined && JSON.stringify(sorted(old.item)) === JSON.stringify(sorted(item))) return 'unchanged';
    this.seq++;
    const imageSeq = old?.item.image === image ? old.imageSeq : this.seq;
    this.items.set(item.id, { item, seq: this.seq, imageSeq });
    this.deleted.delete(item.id);
    return old === undefined ? 'added' : 'changed';
  }

  changes(after: number): CatalogueChange[] {
    const puts = [...this.items.values()].map(({ item, seq, imageSeq }): CatalogueChange => {
      const { id, image, category, attributes } = item;
      return { kind: 'put', seq, id, image, imageSeq, category, attributes };
    });
    const deletions = [...this.deleted].map(([id, seq]): CatalogueChange => ({ kind: 'delete', seq, id }));
    return [...puts, ...deletions].filter(({ seq }) => seq > after).sort((a, b) => a.seq - b.seq);
  }
}

function sorted(item: CatalogueItem): unknown[] {
  return Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1));
}

async function allSince(registry: SqlRegistry, catalogue: string, after: number): Promise<CatalogueChange[]> {
  const all: CatalogueChange[] = [];
  for (;;) {
    const page = await registry.changes.since(catalogue, { after: all.at(-1)?.seq ?? after, limit: 2 });
    all.push(...page);
    if (page.length < 2) return all;
  }
}

/** What every database must do with changes of items. */
export function changesSuite(name: string, fresh: () => Promise<OpenMore>): void {
  describe(`changes of items on ${name}`, () => {
    test('are numbered in order, and the feed after any number is what differs since then', async () => {
      const registry = await (await fresh())();
      let run = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(aWrite, { maxLength: 5 }), { maxLength: 8 }),
          fc.nat(20),
          async (batches, after) => {
            const catalogue = `f${run++}`;
            const model = new Model();
            for (const writes of batches) {
              const outcomes = writes.map((write) => model.write(write));
              expect(await registry.catalogue.writeItems(catalogue, writes)).toEqual({ outcomes, seq: model.seq });
              expect(await registry.changes.lastSeq(catalogue)).toBe(model.seq);
            }
            expect(await allSince(registry, catalogue, after)).toEqual(model.changes(after));
            let seen = -1;
            const rows: string[] = [];
            for await (const row of registry.snapshotRows(catalogue, (seq) => (seen = seq))) rows.push(row.id);
            expect(seen).toBe(model.seq);
            expect(rows.sort()).toEqual([...model.items.keys()].sort());
          },
        ),
        { numRuns: 40 },
      );
    });

    test('take turns, so that nobody who reads up to a number misses a smaller one', async () => {
      const open = await fresh();
      const [reader, ...writers] = [await open(), await open(), await open()];
      const put = (id: string): ItemWrite => ({
        put: { id, image: picture('x'), category: null, label: null, title: null, attributes: {} },
      });
      const seen: number[] = [];
      let isOver = false;
      const reading = (async () => {
        for (let last = false; !last;) {
          last = isOver;
          const page = await reader.changes.since('c', { after: seen.at(-1) ?? 0, limit: 7 });
          seen.push(...page.map(({ seq }) => seq));
          if (page.length === 7) last = false;
          // Statements of SQLite end before their promises are awaited: writers who wait for their turn need a timer to fire.
          await setImmediate();
        }
      })();
      await Promise.all(
        writers.map(async (writer, w) => {
          for (let i = 0; i < 30; i++) await writer.catalogue.writeItems('c', [put(`${w}/${i}`), put(`${w}/${i}+`)]);
        }),
      );
      isOver = true;
      await reading;
      expect(seen).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
    });

    test('are written once per key, which tells the same again, and refuses another request', async () => {
      const open = await fresh();
      const { catalogue } = await open();
      const put: ItemWrite = {
        put: { id: 'a', image: picture('x'), category: null, label: null, title: null, attributes: {} },
      };
      const key = { key: 'k', request: '1' };
      const answer = (written: { seq: number }): { seq: number } => ({ seq: written.seq });
      expect(await catalogue.answerOf('c', key)).toBeUndefined();
      const refused = catalogue.writeItemsOnce('c', key, [put], () => {
        throw new Error('no');
      });
      await expect(refused).rejects.toThrow('no');
      expect(await catalogue.answerOf('c', key)).toBeUndefined();
      expect(await catalogue.writeItemsOnce('c', key, [put], answer)).toEqual({ seq: 1 });
      await catalogue.writeItems('c', [{ delete: 'a' }]);
      const others = await open();
      expect(await others.catalogue.writeItemsOnce('c', key, [put], answer)).toEqual({ seq: 1 });
      expect(await others.catalogue.getItems('c', ['a'])).toEqual([]);
      await expect(catalogue.answerOf('c', { key: 'k', request: '2' })).rejects.toMatchObject({ code: 'conflict' });
      expect(await catalogue.writeItemsOnce('d', key, [put], answer)).toEqual({ seq: 1 });
    });

    test('ask for vectors of pictures that came after the snapshot, once each, until they are there or known to be unusable', async () => {
      const registry = await (await fresh())();
      const { changes } = registry;
      const put = (id: string, image: string, price = 0): ItemWrite => ({
        put: { id, image, category: null, label: null, title: null, attributes: { price } },
      });
      const [v, w, x, y] = [...'vwxy'].map(picture);
      await registry.catalogue.writeItems('c', [put('old', v!), put('same', w!)]);
      await changes.recordSnapshot('c', 's', 2);
      await changes.recordSnapshot('c', 's', 9);
      expect(await changes.snapshotSeq('c', 's')).toBe(2);
      expect(await changes.snapshotSeq('c', 'unknown')).toBe(0);
      await registry.catalogue.writeItems('c', [put('same', w!, 1), put('old', x!), put('new', y!)]);
      const target = { catalogue: 'c', model: 'm', sinceSeq: 2 };
      const page = { after: 0, limit: 10 };
      expect(await changes.unembedded(target, page)).toEqual([
        { image: x, seq: 4 },
        { image: y, seq: 5 },
      ]);
      expect(await changes.unembedded(target, { after: 4, limit: 10 })).toEqual([{ image: y, seq: 5 }]);
      await changes.putVectors('c', 'm', [
        { image: x!, vector: Float32Array.of(1, 0.25) },
        { image: y!, vector: null, reason: 'broken' },
      ]);
      await changes.putVectors('c', 'm', [{ image: x!, vector: Float32Array.of(9, 9) }]);
      expect(await changes.unembedded(target, page)).toEqual([]);
      expect(await changes.unembedded({ ...target, model: 'n' }, page)).toHaveLength(2);
      const known = await changes.vectors('c', 'm', [x!, y!, v!]);
      expect(known).toEqual(
        new Map([
          [x, Float32Array.of(1, 0.25)],
          [y, null],
        ]),
      );
    });

    test('are forgotten once no generation that may serve needs them', async () => {
      const registry = await (await fresh())();
      const { changes, generations, routing } = registry;
      const put = (id: string, image: string): ItemWrite => ({
        put: { id, image, category: null, label: null, title: null, attributes: {} },
      });
      const [x, y] = [...'xy'].map(picture);
      await registry.catalogue.writeItems('c', [
        put('a', x!),
        put('b', x!),
        { delete: 'b' },
        put('c', y!),
        put('d', y!),
      ]);
      await registry.catalogue.writeItems('c', [{ delete: 'd' }]);
      await changes.putVectors(
        'c',
        'm',
        [x!, y!].map((image) => ({ image, vector: Float32Array.of(1) })),
      );
      await changes.putVectors('c', 'other', [{ image: y!, vector: Float32Array.of(1) }]);
      expect(await changes.prune('c')).toBe(0);
      const draft = { catalogue: 'c', snapshot: 's', workflowId: 'w', workflowRunId: 'r' };
      const { number } = await generations.create(draft);
      expect(await changes.targets()).toEqual([]);
      await generations.update('c', number, { model: 'm' });
      await changes.recordSnapshot('c', 's', 3);
      expect(await changes.targets()).toEqual([{ catalogue: 'c', model: 'm', sinceSeq: 3 }]);
      await generations.update('c', number, { status: 'retired' });
      expect(await changes.targets()).toEqual([]);
      const endpoint = { generation: number, shard: 0, replica: 0, url: 'u', host: 'h', artifact: 'shard' };
      await routing.putEndpoint('c', endpoint);
      await routing.putEndpoint('c', { ...endpoint, replica: 1 });
      expect(await changes.targets()).toEqual([{ catalogue: 'c', model: 'm', sinceSeq: 3 }]);
      // The picture of `a`, the other model's vector, and the deletion of `b`, which the snapshot no longer had.
      expect(await changes.prune('c')).toBe(3);
      expect([...(await changes.vectors('c', 'm', [x!, y!])).keys()]).toEqual([y]);
      expect((await changes.since('c', { after: 0, limit: 9 })).map(({ id }) => id)).toEqual(['a', 'c', 'd']);

      // What the one that serves has replaced keeps its vectors: somebody may roll back to it.
      const next = await generations.create({ ...draft, workflowRunId: 'r2' });
      await generations.update('c', number, { index: 'i' });
      await generations.update('c', next.number, { model: 'n', index: 'j' });
      for (const each of [number, next.number]) await generations.switchTo('c', each);
      for (const replica of [0, 1]) await routing.removeEndpoint('c', { ...endpoint, replica });
      await routing.putEndpoint('c', { ...endpoint, generation: next.number });
      expect((await changes.targets()).map(({ model }) => model)).toEqual(['n']);
      expect(await changes.prune('c')).toBe(0);
      expect([...(await changes.vectors('c', 'm', [y!])).keys()]).toEqual([y]);
    });
  });
}
