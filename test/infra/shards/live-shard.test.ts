import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { IndexSpec } from '../../../contracts/ann.ts';
import type { AttributeFilter } from '../../../contracts/filters.ts';
import type { JsonObject } from '../../../contracts/json.ts';
import { INDEX_DEFAULTS } from '../../../infra/recipes/kind-defaults.ts';
import { LiveShard } from '../../../infra/shards/live-shard.ts';
import type { ShardChange } from '../../../infra/shards/live-shard.ts';
import { openShard } from '../../../infra/shards/shard.ts';
import type { Shard } from '../../../infra/shards/shard.ts';
import { KIND_NAMES } from '../../../lib/ann/kinds.ts';
import type { ScoredId } from '../../../lib/ann/merge.ts';
import { compareIds } from '../../../lib/ann/shard-of.ts';
import { matchesFilter } from '../../../lib/filters/matches-filter.ts';
import { textsOf } from '../../../lib/filters/values.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { buildOf, fileOf } from '../../lib/ann/kind-contract.ts';

const DIM = 4;
const IDS = Array.from({ length: 12 }, (_, i) => `i${String(i).padStart(2, '0')}`);

interface Row {
  vector: Float32Array;
  category: string | null;
  attributes: JsonObject;
}
type Model = Map<string, Row>;

const anId = fc.constantFrom(...IDS);
const aVector = fc
  .array(fc.integer({ min: -3, max: 3 }), { minLength: DIM, maxLength: DIM })
  .map((values) => Float32Array.from(values));
const aCategory = fc.option(fc.constantFrom('shoe', 'bag'));
const attributes = fc.record({ price: fc.integer({ min: 0, max: 3 }) });
const aRow: fc.Arbitrary<Row> = fc.record({ vector: aVector, category: aCategory, attributes });
const aChange: fc.Arbitrary<ShardChange> = fc.oneof(
  anId.map((id) => ({ kind: 'delete' as const, id })),
  fc.record({
    kind: fc.constant('put' as const),
    id: anId,
    category: aCategory,
    attributes,
    vector: fc.oneof({ weight: 4, arbitrary: aVector }, fc.constantFrom<'kept' | null>('kept', null)),
  }),
);
const aQuery = fc.record({
  vector: aVector,
  k: fc.integer({ min: 1, max: 15 }),
  category: fc.option(fc.constantFrom('shoe', 'bag'), { nil: undefined }),
  filter: fc.option(fc.constantFrom<AttributeFilter[]>({ price: { gte: 2 } }, { price: 1 }, {}), { nil: undefined }),
});

async function shardOf(model: Model, spec: IndexSpec, folder: string): Promise<Shard> {
  const rows = [...model].sort(([a], [b]) => compareIds(a, b));
  const index = await buildOf(
    spec,
    rows.map(([, { vector }]) => vector),
    DIM,
  );
  const indexPath = join(folder, 'index.bin');
  const rowsPath = join(folder, 'rows.jsonl');
  await writeFile(indexPath, await fileOf(index));
  const lines = rows.map(([id, { category, attributes: own }]) => JSON.stringify({ id, category, attributes: own }));
  await writeFile(rowsPath, lines.map((line) => `${line}\n`).join(''));
  const summary = { spec, dim: DIM, size: rows.length, shard: 0, numShards: 1 };
  return openShard({ artifact: 'shard-x', summary, indexPath, rowsPath });
}

/** In the plainest words. */
function apply(model: Model, change: ShardChange): void {
  if (change.kind === 'delete' || change.vector === null) return void model.delete(change.id);
  const vector = change.vector === 'kept' ? model.get(change.id)?.vector : change.vector;
  if (vector !== undefined) model.set(change.id, { ...change, vector });
}

function nearest(model: Model, query: Float32Array, k: number): ScoredId[] {
  const distance = (v: Float32Array): number => v.reduce((sum, x, i) => sum + (x - query[i]!) ** 2, 0);
  return [...model]
    .map(([id, { vector }]) => ({ id, score: -distance(vector) }))
    .sort((a, b) => b.score - a.score || compareIds(a.id, b.id))
    .slice(0, k);
}

const specs = KIND_NAMES.map((kind) => ({ kind, metric: 'l2', ...INDEX_DEFAULTS[kind] }) as IndexSpec);

it.each(specs)('a $kind shard answers as if it had just been built from what is there now', async (spec) => {
  const folder = temporaryFolder();
  const start = fc.uniqueArray(fc.tuple(anId, aRow), { selector: ([id]) => id });
  const steps = fc.array(fc.oneof(fc.array(aChange, { maxLength: 4 }), aQuery), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(start, steps, async (rows, todo) => {
      const model: Model = new Map(rows);
      const live = new LiveShard(await shardOf(model, spec, folder));
      let seq = 0;
      for (const step of todo) {
        if (Array.isArray(step)) {
          for (const change of step) apply(model, change);
          live.apply(step, { searchableSeq: ++seq, numWaiting: 1 });
          expect(live.status).toMatchObject({ searchableSeq: seq, numWaiting: 1 });
          expect(live.size).toBe(model.size);
          continue;
        }
        const { vector, k, category, filter } = step;
        const wanted = [...model].filter(
          ([, row]) =>
            (category === undefined || row.category === category) && matchesFilter(filter ?? {}, row.attributes),
        );
        const expected = nearest(new Map(wanted), vector, k);
        expect(live.search({ ...step, exact: true })).toEqual(expected);
        expect(live.search(step)).toHaveLength(expected.length);
        expect(await live.searchInTurns(step, () => Promise.resolve())).toEqual(expected);
        const names = ['category', 'price', 'colour'];
        const counts = names.map((name) =>
          Map.groupBy(
            wanted.flatMap(([, row]) => {
              return textsOf(name === 'category' ? row.category : row.attributes[name]);
            }),
            (value) => value,
          ),
        );
        const facets = live.facets(names, { category, filter });
        expect(facets.map(({ values }) => new Map(values))).toEqual(
          counts.map((one) => new Map([...one].map(([value, all]) => [value, all.length]))),
        );
      }
      for (const [id, vector] of live.vectors(IDS)) {
        expect(vector).toEqual(model.get(id)!.vector);
      }
      expect(live.vectors(IDS).size).toBe(model.size);
    }),
    { numRuns: 15, seed: 3 },
  );
});
