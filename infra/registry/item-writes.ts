import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { ItemWrite, WriteOutcome, Written } from '../../contracts/changes.ts';
import { canonicalJson } from '../artifacts/canonical-json.ts';
import { inChunks } from './chunks.ts';
import type { Db } from './database.ts';
import type { Tables } from './schema.ts';
import { checkCatalogue, checkId, checkText } from './text.ts';

export type ItemRow = Tables['items'];

/** @throws LookalikeError `invalidInput` for what a database could not keep as it is */
export function checkWrites(catalogue: string, writes: readonly ItemWrite[]): void {
  checkCatalogue(catalogue);
  for (const write of writes) {
    if ('delete' in write) checkId(write.delete);
    else {
      checkId(write.put.id);
      for (const field of ['image', 'category', 'label', 'title'] as const) checkText(field, write.put[field]);
    }
  }
}

/**
 * Applies checked writes in order, each as if it came alone, and numbers what changes. The transaction excludes other writers of the
 * catalogue, so numbers are given in the order of commits.
 */
export async function applyWrites(tx: Db, catalogue: string, writes: readonly ItemWrite[]): Promise<Written> {
  const ids = [...new Set(writes.map((write) => ('delete' in write ? write.delete : write.put.id)))];
  const rows = new Map((await findItems(tx, catalogue, ids)).map((row) => [row.id, row]));
  const deleted = new Map<string, number>();
  const touched = new Set<string>();
  const before = await lastSeq(tx, catalogue);
  let seq = before;
  const outcomes = writes.map((write): WriteOutcome => {
    if ('delete' in write) {
      if (!rows.delete(write.delete)) return 'absent';
      deleted.set(write.delete, ++seq);
      touched.add(write.delete);
      return 'deleted';
    }
    const old = rows.get(write.put.id);
    const image = write.put.image ?? old?.image;
    if (image === undefined) return 'noPicture';
    const item = { ...write.put, image };
    if (old !== undefined && textOf(old) === textOf(contentRow(item))) return 'unchanged';
    seq++;
    rows.set(item.id, {
      ...{ catalogue, ...contentRow(item), seq },
      image_seq: old?.image === image ? Number(old.image_seq) : seq,
    });
    deleted.delete(item.id);
    touched.add(item.id);
    return old === undefined ? 'added' : 'changed';
  });
  if (seq > before) {
    await replaceItems(
      tx,
      [...touched].flatMap((id) => rows.get(id) ?? []),
    );
    await removeItems(tx, catalogue, touched, rows);
    await recordDeletions(tx, catalogue, touched, deleted);
    await setLastSeq(tx, catalogue, seq);
  }
  return { outcomes, seq };
}

export async function findItems(db: Db, catalogue: string, ids: readonly string[]): Promise<ItemRow[]> {
  const found: ItemRow[] = [];
  for (const chunk of inChunks(ids)) {
    const query = db.selectFrom('items').selectAll().where('catalogue', '=', catalogue).where('id', 'in', chunk);
    found.push(...(await query.execute()));
  }
  return found;
}

/** PostgreSQL gives large integers as text. */
export async function lastSeq(db: Db, catalogue: string): Promise<number> {
  const query = db.selectFrom('catalogue_seqs').select('seq').where('catalogue', '=', catalogue);
  return Number((await query.executeTakeFirst())?.seq ?? 0);
}

async function setLastSeq(tx: Db, catalogue: string, seq: number): Promise<void> {
  const insert = tx.insertInto('catalogue_seqs').values({ catalogue, seq });
  await insert.onConflict((oc) => oc.column('catalogue').doUpdateSet({ seq })).execute();
}

async function replaceItems(tx: Db, rows: readonly ItemRow[]): Promise<void> {
  for (const chunk of inChunks(rows)) {
    const insert = tx.insertInto('items').values(chunk);
    await insert
      .onConflict((oc) =>
        oc.columns(['catalogue', 'id']).doUpdateSet((eb) => ({
          image: eb.ref('excluded.image'),
          category: eb.ref('excluded.category'),
          label: eb.ref('excluded.label'),
          title: eb.ref('excluded.title'),
          attributes: eb.ref('excluded.attributes'),
          seq: eb.ref('excluded.seq'),
          image_seq: eb.ref('excluded.image_seq'),
        })),
      )
      .execute();
  }
}

async function removeItems(
  tx: Db,
  catalogue: string,
  touched: ReadonlySet<string>,
  rows: ReadonlyMap<string, ItemRow>,
): Promise<void> {
  for (const chunk of inChunks([...touched].filter((id) => !rows.has(id)))) {
    await tx.deleteFrom('items').where('catalogue', '=', catalogue).where('id', 'in', chunk).execute();
  }
}

/** An item that is there again has no deletion. */
async function recordDeletions(
  tx: Db,
  catalogue: string,
  touched: ReadonlySet<string>,
  deleted: ReadonlyMap<string, number>,
): Promise<void> {
  for (const chunk of inChunks([...touched])) {
    await tx.deleteFrom('deleted_items').where('catalogue', '=', catalogue).where('id', 'in', chunk).execute();
  }
  for (const chunk of inChunks([...deleted])) {
    const values = chunk.map(([id, seq]) => ({ catalogue, id, seq }));
    await tx.insertInto('deleted_items').values(values).execute();
  }
}

type Content = Omit<ItemRow, 'catalogue' | 'seq' | 'image_seq'>;

function contentRow({ id, image, category, label, title, attributes }: CatalogueItem): Content {
  return { id, image, category, label, title, attributes: canonicalJson(attributes) };
}

function textOf({ id, image, category, label, title, attributes }: Content): string {
  return JSON.stringify([id, image, category, label, title, attributes]);
}
