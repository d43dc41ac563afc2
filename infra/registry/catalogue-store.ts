import type { CatalogueItem, Example } from '../../contracts/catalogue.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { ItemWrite, Written } from '../../contracts/changes.ts';
import type { CatalogueStore, ItemChange } from '../../contracts/registry.ts';
import { canonicalJson } from '../artifacts/canonical-json.ts';
import { inChunks } from './chunks.ts';
import type { Database, Db } from './database.ts';
import { applyWrites, checkWrites, findItems } from './item-writes.ts';
import type { ItemRow } from './item-writes.ts';
import { answerOf, keepAnswer } from './requests.ts';
import type { Tables } from './schema.ts';
import { checkCatalogue, checkId, checkText } from './text.ts';

type ExampleRow = Tables['examples'];

/** Items and examples. Writers of one catalogue take turns; readers never wait. */
export function createCatalogueStore(database: Database): CatalogueStore {
  const { db } = database;
  async function write(catalogue: string, writes: ItemWrite[]): Promise<Written> {
    checkWrites(catalogue, writes);
    return database.writeDurably(scopeOf(catalogue), (tx) => applyWrites(tx, catalogue, writes));
  }
  return {
    async upsertItems(catalogue, items) {
      const { outcomes } = await write(
        catalogue,
        items.map((put) => ({ put })),
      );
      // A picture is given with each, so nothing else can come of it.
      return outcomes as ItemChange[];
    },
    writeItems: write,
    async writeItemsOnce(catalogue, key, writes, answer) {
      checkWrites(catalogue, writes);
      return database.writeDurably(scopeOf(catalogue), async (tx) => {
        const before = await answerOf(tx, catalogue, key);
        if (before !== undefined) return before;
        const given = answer(await applyWrites(tx, catalogue, writes));
        await keepAnswer(tx, catalogue, key, given);
        return given;
      });
    },
    answerOf: (catalogue, key) => answerOf(db, catalogue, key),
    upsertExamples(catalogue, examples) {
      checkCatalogue(catalogue);
      const rows = examples.map((example) => exampleRow(catalogue, example));
      return database.write(scopeOf(catalogue), (tx) => upsertExamples(tx, catalogue, rows));
    },
    async deleteItems(catalogue, ids) {
      const { outcomes } = await write(
        catalogue,
        ids.map((id) => ({ delete: id })),
      );
      return outcomes.filter((outcome) => outcome === 'deleted').length;
    },
    async getItems(catalogue, ids) {
      const found = new Map((await findItems(db, catalogue, ids)).map((row) => [row.id, row]));
      return ids.flatMap((id) => found.get(id) ?? []).map(itemOf);
    },
    async listItems(catalogue, { afterId, limit, category }) {
      let query = db.selectFrom('items').selectAll().where('catalogue', '=', catalogue);
      if (afterId !== undefined) query = query.where('id', '>', afterId);
      if (category !== undefined) query = query.where('category', '=', category);
      return (await query.orderBy('id').limit(limit).execute()).map(itemOf);
    },
    async listExamples(catalogue, { afterId, limit }) {
      let query = db.selectFrom('examples').selectAll().where('catalogue', '=', catalogue);
      if (afterId !== undefined) query = query.where('id', '>', afterId);
      return (await query.orderBy('id').limit(limit).execute()).map(exampleOf);
    },
    async categories(catalogue) {
      const rows = await db
        .selectFrom('items')
        .select(['category', (eb) => eb.fn.countAll().as('count')])
        .where('catalogue', '=', catalogue)
        .where('category', 'is not', null)
        .groupBy('category')
        .orderBy('category')
        .execute();
      return rows.flatMap(({ category, count }) => (category === null ? [] : [{ category, count: Number(count) }]));
    },
    async catalogues() {
      const count = async (table: 'items' | 'examples'): Promise<Map<string, number>> => {
        const query = db.selectFrom(table).select(['catalogue', (eb) => eb.fn.countAll().as('count')]);
        const rows = await query.groupBy('catalogue').orderBy('catalogue').execute();
        return new Map(rows.map((row) => [row.catalogue, Number(row.count)]));
      };
      const items = await count('items');
      const examples = await count('examples');
      return [...new Set([...items.keys(), ...examples.keys()])].sort().map((catalogue) => ({
        catalogue,
        numItems: items.get(catalogue) ?? 0,
        numExamples: examples.get(catalogue) ?? 0,
      }));
    },
  };
}

const scopeOf = (catalogue: string): string => `catalogue:${catalogue}`;

/** Writes only what differs. An id that comes twice is written twice, as if in two calls. */
async function upsertExamples(tx: Db, catalogue: string, rows: ExampleRow[]): Promise<ItemChange[]> {
  const found = await findExamples(
    tx,
    catalogue,
    rows.map((row) => row.id),
  );
  const now = new Map(found.map((row) => [row.id, canonicalJson(row)]));
  const toWrite = new Map<string, ExampleRow>();
  const changes = rows.map((row): ItemChange => {
    const before = now.get(row.id);
    const after = canonicalJson(row);
    if (before === after) return 'unchanged';
    now.set(row.id, after);
    toWrite.set(row.id, row);
    return before === undefined ? 'added' : 'changed';
  });
  for (const chunk of inChunks([...toWrite.values()])) {
    const insert = tx.insertInto('examples').values(chunk);
    await insert
      .onConflict((oc) =>
        oc.columns(['catalogue', 'id']).doUpdateSet((eb) => ({
          image: eb.ref('excluded.image'),
          label: eb.ref('excluded.label'),
          split: eb.ref('excluded.split'),
        })),
      )
      .execute();
  }
  return changes;
}

async function findExamples(db: Db, catalogue: string, ids: readonly string[]): Promise<ExampleRow[]> {
  const found: ExampleRow[] = [];
  for (const chunk of inChunks(ids)) {
    const query = db.selectFrom('examples').selectAll().where('catalogue', '=', catalogue).where('id', 'in', chunk);
    found.push(...(await query.execute()));
  }
  return found;
}

function exampleRow(catalogue: string, example: Example): ExampleRow {
  checkId(example.id);
  for (const field of ['image', 'label'] as const) checkText(field, example[field]);
  const { id, image, label, split } = example;
  return { catalogue, id, image, label, split };
}

function itemOf(row: ItemRow): CatalogueItem {
  const { id, image, category, label, title } = row;
  return { id, image, category, label, title, attributes: JSON.parse(row.attributes) as JsonObject };
}

function exampleOf(row: ExampleRow): Example {
  const { id, image, label, split } = row;
  return { id, image, label, split };
}
