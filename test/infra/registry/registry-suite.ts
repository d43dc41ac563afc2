import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CatalogueItem, SnapshotRow } from '../../../contracts/catalogue.ts';
import type { ItemChange } from '../../../contracts/registry.ts';
import { canonicalJson } from '../../../infra/artifacts/canonical-json.ts';
import type { SqlRegistry } from '../../../infra/registry/registry.ts';

/** Opens one more connection to one fresh database, as another process would. */
export type OpenMore = () => Promise<SqlRegistry>;

export const item = (id: string, change: Partial<CatalogueItem> = {}): CatalogueItem => ({
  id,
  image: 'a'.repeat(64),
  category: 'shoe',
  label: null,
  title: null,
  attributes: {},
  ...change,
});

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const hostile = [
  '%',
  '_',
  "'",
  '"',
  '\\',
  "';drop table items;--",
  'ä',
  'a',
  'Z',
  'z',
  ' ',
  '\n',
  '￿',
  '😀',
  '-1',
  '９',
];
const ids = fc.oneof(fc.constantFrom(...hostile), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }));
const validIds = ids.filter((id) => id.length > 0 && !id.includes('\0') && id.isWellFormed());

/** What every database must do; `fresh` prepares an empty one. */
export function registrySuite(name: string, fresh: () => Promise<OpenMore>): void {
  describe(`the catalogue on ${name}`, () => {
    test('behaves like a map that is listed in byte order, whatever is written, deleted and asked', async () => {
      const registry = await (await fresh())();
      const items = fc.record({
        id: validIds,
        category: fc.option(fc.constantFrom('shoe', '%', "o'clock", 'Größe')),
        attributes: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }),
      });
      const commands = fc.array(
        fc.oneof(
          fc.record({ upsert: fc.array(items, { maxLength: 5 }) }),
          fc.record({ remove: fc.array(validIds, { maxLength: 4 }) }),
        ),
        { maxLength: 8 },
      );
      let run = 0;
      await fc.assert(
        fc.asyncProperty(commands, fc.option(validIds), async (steps, afterId) => {
          const catalogue = `c${run++}`;
          const model = new Map<string, CatalogueItem>();
          for (const step of steps) {
            if ('remove' in step) {
              const present = new Set(step.remove.filter((id) => model.has(id)));
              expect(await registry.catalogue.deleteItems(catalogue, step.remove)).toBe(present.size);
              present.forEach((id) => model.delete(id));
              continue;
            }
            const rows = step.upsert.map(({ attributes, ...rest }) =>
              item(rest.id, {
                ...rest,
                attributes: JSON.parse(JSON.stringify(attributes)) as CatalogueItem['attributes'],
              }),
            );
            const expected = rows.map((row): ItemChange => {
              const before = model.get(row.id);
              model.set(row.id, row);
              if (before === undefined) return 'added';
              return canonicalJson(before) === canonicalJson(row) ? 'unchanged' : 'changed';
            });
            expect(await registry.catalogue.upsertItems(catalogue, rows)).toEqual(expected);
          }
          const sorted = [...model.values()].sort((a, b) => byBytes(a.id, b.id));
          expect(await registry.catalogue.listItems(catalogue, { limit: 100 })).toEqual(sorted);
          const page = { afterId: afterId ?? undefined, limit: 2, category: '%' };
          const later = sorted.filter((row) => afterId === null || byBytes(row.id, afterId) > 0);
          expect(await registry.catalogue.listItems(catalogue, page)).toEqual(
            later.filter((row) => row.category === '%').slice(0, 2),
          );
          const asked = [...hostile].reverse();
          expect(await registry.catalogue.getItems(catalogue, asked)).toEqual(
            asked.flatMap((id) => model.get(id) ?? []),
          );
          const counts = new Map<string, number>();
          for (const { category } of model.values())
            if (category) counts.set(category, (counts.get(category) ?? 0) + 1);
          const categories = [...counts].sort(([a], [b]) => byBytes(a, b));
          expect(await registry.catalogue.categories(catalogue)).toEqual(
            categories.map(([category, count]) => ({ category, count })),
          );
        }),
        { numRuns: 40 },
      );
    });

    test('takes thousands of rows at once, counts them, and leaves unchanged ones alone', async () => {
      const registry = await (await fresh())();
      const rows = Array.from({ length: 2_300 }, (_, i) => item(`i${i}`, { image: i.toString(16).padStart(64, '0') }));
      expect(new Set(await registry.catalogue.upsertItems('c', rows))).toEqual(new Set(['added']));
      expect(new Set(await registry.catalogue.upsertItems('c', rows))).toEqual(new Set(['unchanged']));
      const example = { id: 'e', image: 'e'.repeat(64), label: 'shoe', split: 'train' as const };
      expect(await registry.catalogue.upsertExamples('c', [example])).toEqual(['added']);
      expect(await registry.catalogue.upsertExamples('c', [{ ...example, split: 'holdout' }])).toEqual(['changed']);
      expect(await registry.catalogue.listExamples('c', { limit: 5 })).toEqual([{ ...example, split: 'holdout' }]);
      expect(await registry.catalogue.catalogues()).toEqual([{ catalogue: 'c', numItems: 2_300, numExamples: 1 }]);
      let numImages = 0;
      for await (const _ of registry.imagesInUse()) numImages++;
      expect(numImages).toBe(2_301);
      expect(
        await registry.catalogue.deleteItems(
          'c',
          rows.map(({ id }) => id),
        ),
      ).toBe(2_300);
    });

    test('refuses names that the databases would tell apart differently', async () => {
      const { catalogue } = await (await fresh())();
      for (const id of ['', 'a\0b', '\ud800', 'x'.repeat(513)]) {
        await expect(catalogue.upsertItems('c', [item(id)])).rejects.toMatchObject({ code: 'invalidInput' });
      }
      for (const name of ['', 'emoji/train', '.x', '-x', 'x y', "x'y", 'x\n', 'ü', 'x'.repeat(129)]) {
        await expect(catalogue.upsertItems(name, [item('a')])).rejects.toThrow(/Expected a catalogue name of/);
      }
      await expect(catalogue.upsertItems('c', [item('a', { title: 'x\0' })])).rejects.toThrow(/title without NUL/);
      expect(await catalogue.upsertItems('c', [item('語'.repeat(512), { category: '語'.repeat(256) })])).toEqual([
        'added',
      ]);
    });

    test('two writers of the same rows add each row once', async () => {
      const more = await fresh();
      const [one, two] = [await more(), await more()];
      const rows = Array.from({ length: 300 }, (_, i) => item(`i${i}`));
      const changes = await Promise.all([
        one.catalogue.upsertItems('c', rows),
        two.catalogue.upsertItems('c', [...rows].reverse()),
      ]);
      expect(changes.flat().filter((change) => change === 'added')).toHaveLength(300);
    });

    test('a snapshot reads one moment, while others write', async () => {
      const more = await fresh();
      const [reader, writer] = [await more(), await more()];
      const rows = Array.from({ length: 4_500 }, (_, i) => item(`i${String(i).padStart(5, '0')}`));
      await writer.catalogue.upsertItems('c', rows);
      await writer.catalogue.upsertExamples('c', [{ id: 'e', image: 'x', label: 'l', split: 'train' }]);
      const seen: SnapshotRow[] = [];
      for await (const row of reader.snapshotRows('c')) {
        if (seen.length === 1) {
          await writer.catalogue.deleteItems('c', ['i04499']);
          await reader.catalogue.upsertItems('c', [item('i00001x'), item('zz')]);
        }
        seen.push(row);
      }
      expect(seen.map((row) => row.id)).toEqual(['e', ...rows.map((row) => row.id)]);
      expect(seen.map((row) => row.role)).toEqual(['example', ...rows.map(() => 'item')]);
    });
  });

  describe(`generations on ${name}`, () => {
    const draftOf = (run: string) => ({ catalogue: 'c', snapshot: 's', workflowId: 'w', workflowRunId: run });

    test('are numbered without gaps, and a run gets its own back', async () => {
      const more = await fresh();
      const [one, two] = [await more(), await more()];
      const runs = Array.from({ length: 10 }, (_, i) => `run${i}`);
      const made = await Promise.all(
        runs.flatMap((run) => [one.generations.create(draftOf(run)), two.generations.create(draftOf(run))]),
      );
      expect(made.map(({ number }) => number).sort((a, b) => a - b)).toEqual(runs.flatMap((_, i) => [i + 1, i + 1]));
      for (let i = 0; i < made.length; i += 2) expect(made[i]).toEqual(made[i + 1]);
      expect((await one.generations.create({ ...draftOf('run0'), catalogue: 'd' })).number).toBe(1);
      expect(await one.generations.list('c')).toHaveLength(10);
    });

    test('switch in one step, retire the one before, and give a repeated request the same answer', async () => {
      const registry = await (await fresh())();
      const { generations, routing } = registry;
      for (const run of ['1', '2']) {
        const { number } = await generations.create(draftOf(run));
        await expect(generations.switchTo('c', number)).rejects.toMatchObject({ code: 'conflict' });
        await generations.update('c', number, {
          model: `m${run}`,
          index: `i${run}`,
          metrics: { recall: { '1': 0.5 } },
        });
      }
      expect(await routing.routingTable('c')).toBeUndefined();
      expect(await generations.switchTo('c', 1)).toBeUndefined();
      expect(await generations.switchTo('c', 1)).toBeUndefined();
      expect(await generations.switchTo('c', 2)).toMatchObject({ number: 1, status: 'retired' });
      expect(await generations.switchTo('c', 2)).toMatchObject({ number: 1, status: 'retired' });
      expect((await generations.list('c')).map(({ status }) => status)).toEqual(['retired', 'serving']);
      expect(await generations.get('c', 2)).toMatchObject({ metrics: { recall: { '1': 0.5 } }, index: 'i2' });
      // And back again.
      expect(await generations.switchTo('c', 1)).toMatchObject({ number: 2, status: 'retired' });
      expect(await generations.list('c', 'serving')).toMatchObject([{ number: 1 }]);
      await expect(generations.update('c', 2, { status: 'serving' })).rejects.toMatchObject({ code: 'invalidInput' });
      await expect(generations.switchTo('c', 9)).rejects.toMatchObject({ code: 'notFound' });
    });

    test('record each switch with who wanted it, once however often it is asked for', async () => {
      const { generations } = await (await fresh())();
      for (const run of ['1', '2']) {
        const { number } = await generations.create(draftOf(run));
        await generations.update('c', number, { model: 'm', index: 'i' });
      }
      expect(await generations.switches('c')).toEqual([]);
      await generations.switchTo('c', 1);
      await generations.switchTo('c', 2);
      await generations.switchTo('c', 2);
      await generations.switchTo('c', 1, { how: 'rollback', by: 'ann', reason: 'shoes are wrong' });
      const switches = await generations.switches('c');
      expect(switches).toMatchObject([
        { generation: 1, previous: null, how: 'retrain', by: 'w', reason: null },
        { generation: 2, previous: 1, how: 'retrain', by: 'w', reason: null },
        { generation: 1, previous: 2, how: 'rollback', by: 'ann', reason: 'shoes are wrong' },
      ]);
      for (const { at } of switches) expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(60_000);
      expect(await generations.switches('d')).toEqual([]);
    });

    test('never serve two at once, however many switch at the same time', async () => {
      const more = await fresh();
      const [one, two] = [await more(), await more()];
      for (const run of ['1', '2', '3', '4']) {
        const { number } = await one.generations.create(draftOf(run));
        await one.generations.update('c', number, { model: 'm', index: 'i' });
      }
      const switches = [1, 2, 3, 4].map((number) => (number % 2 ? one : two).generations.switchTo('c', number));
      const retired = (await Promise.all(switches)).flatMap((generation) => generation?.number ?? []);
      const [serving, ...others] = await one.generations.list('c', 'serving');
      expect(others).toEqual([]);
      expect([...retired, serving!.number].sort()).toEqual([1, 2, 3, 4]);
    });

    test('name what garbage collection must keep, but for failed and rejected ones', async () => {
      const registry = await (await fresh())();
      for (const run of ['kept', 'failed', 'rejected']) {
        const { number } = await registry.generations.create({ ...draftOf(run), snapshot: `s-${run}` });
        await registry.generations.update('c', number, { model: `m-${run}` });
        await registry.generations.update('c', number, { metrics: { comparison: `why-${run}` } });
        if (run !== 'kept') await registry.generations.update('c', number, { status: run as 'failed' | 'rejected' });
      }
      await registry.checkpoints.record('r', 1, 'checkpoint');
      expect((await registry.artifactsInUse()).sort()).toEqual(['checkpoint', 'm-kept', 's-kept', 'why-kept']);
    });

    test('stop pinning what they name once they are retired for long or were abandoned', async () => {
      const registry = await (await fresh())();
      const { generations } = registry;
      const create = async (run: string) => (await generations.create({ ...draftOf(run), snapshot: `s${run}` })).number;
      for (const run of ['1', '2', '3', '4', '5', '6']) {
        const number = await create(run);
        await generations.update('c', number, { model: `m${run}`, index: `i${run}` });
        await generations.switchTo('c', number);
      }
      const snapshots = async (abandonedBefore?: Date) =>
        (await registry.artifactsInUse(abandonedBefore)).filter((id) => id.startsWith('s')).sort();
      expect(await snapshots()).toEqual(['s3', 's4', 's5', 's6']);
      // Rolled back and forward: the one just left answers until it is drained.
      await generations.switchTo('c', 1);
      await generations.switchTo('c', 6);
      expect(await snapshots()).toEqual(['s1', 's4', 's5', 's6']);
      const kept = async (numRollbacks: number) =>
        (await registry.artifactsInUse(new Date(0), numRollbacks)).filter((id) => id.startsWith('s')).sort();
      expect(await kept(0)).toEqual(['s1', 's6']);
      expect(await kept(100)).toEqual(['s1', 's2', 's3', 's4', 's5', 's6']);

      await create('7');
      const later = new Date(Date.now() + 1_000);
      expect(await snapshots(later)).toContain('s7');
      await create('8');
      expect(await snapshots(new Date(0))).toEqual(expect.arrayContaining(['s7', 's8']));
      expect(await snapshots(later)).toEqual(['s1', 's4', 's5', 's6', 's8']);
    });
  });

  describe(`routing, checkpoints and keys on ${name}`, () => {
    test("the newest batch of neighbours belongs to an index, and is kept as long as that one's generation", async () => {
      const registry = await (await fresh())();
      const { similar, generations } = registry;
      await generations.create({ catalogue: 'c', snapshot: 's', workflowId: 'w', workflowRunId: 'r' });
      await generations.update('c', 1, { model: 'm', index: 'i' });
      expect(await similar.of('c', 'i')).toBeUndefined();
      await similar.record('c', 'i', 'old');
      await similar.record('c', 'i', 'new');
      await similar.record('c', 'gone', 'lost');
      expect([await similar.of('c', 'i'), await similar.of('d', 'i')]).toEqual(['new', undefined]);
      expect((await registry.artifactsInUse()).sort()).toEqual(['i', 'm', 'new', 's']);
    });

    test('a late drain never erases the replica that took its place', async () => {
      const registry = await (await fresh())();
      const { routing, generations } = registry;
      await generations.create({ catalogue: 'c', snapshot: 's', workflowId: 'w', workflowRunId: 'r' });
      await generations.update('c', 1, { model: 'm', index: 'i' });
      await generations.switchTo('c', 1);
      const table = { catalogue: 'c', generation: 1, model: 'm', dim: 4, numShards: 2 };
      expect(await routing.routingTable('c')).toEqual({ ...table, endpoints: [] });
      const old = { generation: 1, shard: 1, replica: 0, url: 'http://a', host: 'a', artifact: 'x' };
      const other = { ...old, shard: 0 };
      await routing.putEndpoint('c', old);
      await routing.putEndpoint('c', other);
      const replacement = { ...old, url: 'http://b', host: 'b' };
      await routing.putEndpoint('c', replacement);
      await routing.putEndpoint('c', { ...old, generation: 2 });
      await routing.removeEndpoint('c', old);
      expect(await routing.endpoints('c', 1)).toEqual([other, replacement]);
      expect(await routing.routingTable('c')).toEqual({ ...table, endpoints: [other, replacement] });
      await routing.removeEndpoint('c', replacement);
      expect(await routing.endpoints('c', 1)).toEqual([other]);
    });

    test('a host that announces itself again is listed once, and goes when withdrawn', async () => {
      const { routing } = await (await fresh())();
      const host = { host: 'h', kind: 'search' as const, url: 'http://h:1', taskQueue: 'q' };
      await routing.announceHost(host);
      await routing.announceHost({ ...host, url: 'http://h:2' });
      await routing.announceHost({ ...host, host: 'e', kind: 'embed' });
      expect(await routing.hosts('search')).toEqual([{ ...host, url: 'http://h:2' }]);
      await routing.withdrawHost('h');
      expect(await routing.hosts('search')).toEqual([]);
      expect(await routing.hosts('embed')).toHaveLength(1);
    });

    test('a run keeps its last two checkpoints', async () => {
      const { checkpoints } = await (await fresh())();
      for (const step of [9, 10, 100]) await checkpoints.record('run', step, `c${step}`);
      await checkpoints.record('run', 100, 'again');
      await checkpoints.record('other', 1, 'x');
      expect(await checkpoints.latest('run')).toEqual([
        { step: 100, artifact: 'again' },
        { step: 10, artifact: 'c10' },
      ]);
      expect(await checkpoints.latest('none')).toEqual([]);
      await checkpoints.forget('run');
      expect(await checkpoints.latest('run')).toEqual([]);
      expect(await checkpoints.latest('other')).toHaveLength(1);
    });

    test('a parameter shard is found where it last announced itself, until it goes or its run is forgotten', async () => {
      const { training } = await (await fresh())();
      const old = { run: 'r', shard: 1, url: 'tcp://a:1', attempt: 1 };
      const other = { run: 'r', shard: 0, url: 'tcp://a:2', attempt: 0 };
      expect(await training.announceShard(old)).toBe(true);
      expect(await training.announceShard({ run: 'r', shard: 0, url: 'tcp://a:2' })).toBe(true);
      expect(await training.announceShard({ ...other, run: 'another' })).toBe(true);
      expect(await training.shards('r')).toEqual([other, old]);

      const replacement = { ...old, url: 'tcp://b:1', attempt: 2 };
      expect(await training.announceShard(replacement)).toBe(true);
      expect(await training.announceShard(replacement)).toBe(true);
      // The one before wakes up: it neither displaces nor takes away its replacement.
      expect(await training.announceShard(old)).toBe(false);
      await training.withdrawShard(old);
      expect(await training.shards('r')).toEqual([other, replacement]);
      await training.withdrawShard(replacement);
      expect(await training.shards('r')).toEqual([other]);
      await training.forget('r');
      expect(await training.shards('r')).toEqual([]);
      expect(await training.shards('another')).toHaveLength(1);
    });

    test('a key opens what it was made for until it is revoked, and nothing like it does', async () => {
      const { apiKeys } = await (await fresh())();
      const { id, key } = await apiKeys.create('shop', ['write', 'read']);
      const other = await apiKeys.create('other', ['read']);
      expect(await apiKeys.verify(key)).toEqual({ id, name: 'shop', scopes: ['read', 'write'] });
      const flipped = `${key.slice(0, -2)}${key.at(-2) === 'A' ? 'B' : 'A'}${key.at(-1)}`;
      const mixed = `lk_${id}_${other.key.split('_').slice(2).join('_')}`;
      for (const wrong of ['', id, flipped, mixed, `${key}x`, key.toUpperCase()]) {
        expect(await apiKeys.verify(wrong)).toBeUndefined();
      }
      expect((await apiKeys.list()).map((row) => row.name).sort()).toEqual(['other', 'shop']);
      expect(JSON.stringify(await apiKeys.list())).not.toContain(key.slice(-20));
      expect(await apiKeys.revoke(id)).toBe(true);
      expect(await apiKeys.revoke(id)).toBe(false);
      expect(await apiKeys.verify(key)).toBeUndefined();
      await expect(apiKeys.create('none', [])).rejects.toMatchObject({ code: 'invalidInput' });
    });
  });
}
