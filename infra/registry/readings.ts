import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { createCatalogueStore } from './catalogue-store.ts';
import type { Database } from './database.ts';
import { lastSeq } from './item-writes.ts';

/** Memory stays bounded by one page however large the catalogue. */
const PAGE = 2_000;

/** Examples then items (ascending by role), all of one moment. */
export async function* snapshotRows(
  database: Database,
  catalogue: string,
  onSeq?: (seq: number) => void,
): AsyncGenerator<SnapshotRow> {
  const read = await database.openRead();
  try {
    onSeq?.(await lastSeq(read.db, catalogue));
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

/** Retired generations per catalogue whose artefacts stay: a bad one is noticed within a few runs, and rolling back needs them whole. */
export const NUM_ROLLBACKS = 3;

/**
 * Artefacts that somebody may still ask for by name. A generation that was being built since before `abandonedBefore` and was
 * overtaken by a newer one belongs to a run that ended without a word. Of the retired ones the `numRollbacks` that served last stay.
 */
export async function artifactsInUse(
  { db }: Database,
  abandonedBefore: Date = new Date(0),
  numRollbacks: number = NUM_ROLLBACKS,
): Promise<string[]> {
  const columns = ['snapshot', 'model', 'embeddings', 'index_artifact'] as const;
  const rows = await db
    .selectFrom('generations')
    .select([...columns, 'catalogue', 'number', 'status', 'created_at', 'replaced', 'metrics'])
    .where('status', 'not in', ['failed', 'rejected'])
    .orderBy('number', 'desc')
    .execute();
  const newest = await db
    .selectFrom('generations')
    .select((eb) => ['catalogue', eb.fn.max('number').as('number')])
    .groupBy('catalogue')
    .execute();
  const newestOf = new Map(newest.map(({ catalogue, number }) => [catalogue, Number(number)]));
  const lastServed = await lastSwitches(db);
  const servedAt = (catalogue: string, number: number): number => lastServed.get(`${catalogue}\n${number}`) ?? 0;
  const kept = [...Map.groupBy(rows, ({ catalogue }) => catalogue)].flatMap(([catalogue, generations]) => {
    const retired = generations
      .filter(({ status }) => status === 'retired')
      .sort((a, b) => servedAt(catalogue, b.number) - servedAt(catalogue, a.number) || b.number - a.number)
      .slice(0, numRollbacks);
    // After a rollback the one before may be older than those, and it answers until it is drained.
    const before = generations.find(({ status }) => status === 'serving')?.replaced;
    return generations.filter(({ status, number, created_at }) => {
      if (status === 'retired') return number === before || retired.some((one) => one.number === number);
      if (status !== 'building') return true;
      return Date.parse(created_at) >= abandonedBefore.getTime() || number === newestOf.get(catalogue);
    });
  });
  const checkpoints = await db.selectFrom('checkpoints').select('artifact').execute();
  const named = new Set(kept.flatMap((row) => columns.map((column) => row[column])));
  const similar = await db.selectFrom('similar_items').select(['index_artifact', 'artifact']).execute();
  // Neighbours live as long as the index that they were found in.
  const neighbours = similar.filter((row) => named.has(row.index_artifact)).map((row) => row.artifact);
  // Why a kept generation was let pass can be looked up as long as it can serve.
  const evidence = kept.map(({ metrics }) => (JSON.parse(metrics) as { comparison?: unknown }).comparison);
  const ids = [...named, ...neighbours, ...checkpoints.map((row) => row.artifact), ...evidence];
  return [...new Set(ids.filter((id) => typeof id === 'string'))];
}

/** By catalogue and generation: which switch to it was the latest. Generations that served before switches were recorded have none. */
async function lastSwitches(db: Database['db']): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('switches')
    .select((eb) => ['catalogue', 'generation', eb.fn.max('seq').as('seq')])
    .groupBy(['catalogue', 'generation'])
    .execute();
  return new Map(rows.map(({ catalogue, generation, seq }) => [`${catalogue}\n${generation}`, Number(seq)]));
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
