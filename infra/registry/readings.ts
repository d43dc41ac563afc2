import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { createCatalogueStore } from './catalogue-store.ts';
import type { Database } from './database.ts';

/** Memory stays bounded by one page however large the catalogue. */
const PAGE = 2_000;

/** Examples then items (ascending by role), all of one moment. */
export async function* snapshotRows(database: Database, catalogue: string): AsyncGenerator<SnapshotRow> {
  const read = await database.openRead();
  try {
    const rows = createCatalogueStore({ ...database, db: read.db });
    for await (const row of pages((page) => rows.listExamples(catalogue, page))) yield { role: 'example', ...row };
    for await (const row of pages((page) => rows.listItems(catalogue, page))) yield { role: 'item', ...row };
  } finally {
    await read.close();
  }
}

async function* pages<T extends { id: string }>(
  list: (page: { afterId?: string; limit: number }) => Promise<T[]>,
): AsyncGenerator<T> {
  let afterId: string | undefined;
  for (;;) {
    const rows = await list({ afterId, limit: PAGE });
    yield* rows;
    if (rows.length < PAGE) return;
    afterId = rows.at(-1)?.id;
  }
}

/** Artefacts that somebody may still ask for by name. */
export async function artifactsInUse({ db }: Database): Promise<string[]> {
  const generations = await db
    .selectFrom('generations')
    .select(['snapshot', 'model', 'embeddings', 'index_artifact'])
    .where('status', 'not in', ['failed', 'rejected'])
    .execute();
  const checkpoints = await db.selectFrom('checkpoints').select('artifact').execute();
  const named = generations.flatMap((row) => [row.snapshot, row.model, row.embeddings, row.index_artifact]);
  return [...new Set([...named, ...checkpoints.map((row) => row.artifact)].filter((id) => id !== null))];
}

/** Pictures of every catalogue's items and examples. */
export async function* imagesInUse({ db }: Database): AsyncGenerator<string> {
  for (const table of ['items', 'examples'] as const) {
    let after = '';
    for (;;) {
      const query = db.selectFrom(table).select('image').distinct().where('image', '>', after);
      const rows = await query.orderBy('image').limit(PAGE).execute();
      for (const { image } of rows) yield image;
      if (rows.length < PAGE) break;
      after = rows.at(-1)?.image ?? after;
    }
  }
}
