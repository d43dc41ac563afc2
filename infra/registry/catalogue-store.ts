import type { CatalogueItem, Example } from '../../contracts/catalogue.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { CatalogueStore, ItemChange } from '../../contracts/registry.ts';
import { canonicalJson } from '../artifacts/canonical-json.ts';
import { inChunks } from './chunks.ts';
import type { Database, Db } from './database.ts';
import type { Tables } from './schema.ts';
import { checkCatalogue, checkId, checkText } from './text.ts';

type ItemRow = Tables['items'];
type ExampleRow = Tables['examples'];

/** Items and examples. Writers of one catalogue take turns; readers never wait. */
export function createCatalogueStore(database: Database): CatalogueStore {
  const { db } = database;
  return {
    upsertItems(catalogue, items) {
      checkCatalogue(catalogue);
      const rows = items.map((item) => itemRow(catalogue, item));
      return database.write(scopeOf(catalogue), (tx) => upsert(rows, itemTable(tx, catalogue)));
    },
    upsertExamples(catalogue, examples) {
      checkCatalogue(catalogue);
      const rows = examples.map((example) => exampleRow(catalogue, example));
      return database.write(scopeOf(catalogue), (tx) => upsert(rows, exampleTable(tx, catalogue)));
    },
    deleteItems: (catalogue, ids) =>
      database.write(scopeOf(catalogue), async (tx) => {
        let deleted = 0;
        for (const chunk of inChunks(ids)) {
          const query = tx.deleteFrom('items').where('catalogue', '=', catalogue).where('id', 'in', chunk);
          deleted += Number((await query.executeTakeFirstOrThrow()).numDeletedRows);
        }
        return deleted;
      }),
    async getItems(catalogue, ids) {
      const found = new Map((await itemTable(db, catalogue).find(ids)).map((row) => [row.id, row]));
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

/** What `upsert` needs of a table; Kysely's types do not let one function speak of two tables. */
interface UpsertTable<Row> {
  find(ids: readonly string[]): Promise<Row[]>;
  replace(rows: Row[]): Promise<void>;
}

/** Writes only what differs. An id that comes twice is written twice, as if in two calls. */
async function upsert<Row extends { id: string }>(rows: Row[], table: UpsertTable<Row>): Promise<ItemChange[]> {
  const now = new Map((await table.find(rows.map((row) => row.id))).map((row) => [row.id, canonicalJson(row)]));
  const toWrite = new Map<string, Row>();
  const changes = rows.map((row): ItemChange => {
    const before = now.get(row.id);
    const after = canonicalJson(row);
    if (before === after) return 'unchanged';
    now.set(row.id, after);
    toWrite.set(row.id, row);
    return before === undefined ? 'added' : 'changed';
  });
  await table.replace([...toWrite.values()]);
  return changes;
}

function itemTable(db: Db, catalogue: string): UpsertTable<ItemRow> {
  return {
    async find(ids) {
      const found: ItemRow[] = [];
      for (const chunk of inChunks(ids)) {
        const query = db.selectFrom('items').selectAll().where('catalogue', '=', catalogue).where('id', 'in', chunk);
        found.push(...(await query.execute()));
      }
      return found;
    },
    async replace(rows) {
      for (const chunk of inChunks(rows)) {
        const insert = db.insertInto('items').values(chunk);
        await insert
          .onConflict((oc) =>
            oc.columns(['catalogue', 'id']).doUpdateSet((eb) => ({
              image: eb.ref('excluded.image'),
              category: eb.ref('excluded.category'),
              label: eb.ref('excluded.label'),
              title: eb.ref('excluded.title'),
              attributes: eb.ref('excluded.attributes'),
            })),
          )
          .execute();
      }
    },
  };
}

function exampleTable(db: Db, catalogue: string): UpsertTable<ExampleRow> {
  return {
    async find(ids) {
      const found: ExampleRow[] = [];
      for (const chunk of inChunks(ids)) {
        const query = db.selectFrom('examples').selectAll().where('catalogue', '=', catalogue).where('id', 'in', chunk);
        found.push(...(await query.execute()));
      }
      return found;
    },
    async replace(rows) {
      for (const chunk of inChunks(rows)) {
        const insert = db.insertInto('examples').values(chunk);
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
    },
  };
}

function itemRow(catalogue: string, item: CatalogueItem): ItemRow {
  checkId(item.id);
  for (const field of ['image', 'category', 'label', 'title'] as const) checkText(field, item[field]);
  const { id, image, category, label, title } = item;
  return { catalogue, id, image, category, label, title, attributes: canonicalJson(item.attributes) };
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
