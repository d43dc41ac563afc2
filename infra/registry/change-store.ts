import { sql } from 'kysely';
import type { CatalogueChange, DeltaTarget } from '../../contracts/changes.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { ChangeStore } from '../../contracts/registry.ts';
import { inChunks } from './chunks.ts';
import type { Database, Db } from './database.ts';
import { findItems, lastSeq } from './item-writes.ts';
import { checkCatalogue } from './text.ts';

/** A row of the feed: an item as it is, or, without a picture, that it was deleted. */
interface FeedRow {
  seq: number | string;
  id: string;
  image: string | null;
  image_seq: number | string | null;
  category: string | null;
  attributes: string | null;
}

/** The feed is the items and deletions themselves, by their sequence numbers: it is never longer than both. */
export function createChangeStore(database: Database): ChangeStore {
  const { db } = database;
  return {
    async since(catalogue, { after, limit }) {
      // One statement, so of one moment: a number that it passes over has been overtaken by a newer one.
      const { rows } = await sql<FeedRow>`
        select * from (
          select seq, id, image, image_seq, category, attributes from items
          where catalogue = ${catalogue} and seq > ${after} order by seq limit ${limit}) as puts
        union all
        select * from (
          select seq, id, cast(null as text) as image, cast(null as bigint) as image_seq, cast(null as text) as category,
            cast(null as text) as attributes from deleted_items
          where catalogue = ${catalogue} and seq > ${after} order by seq limit ${limit}) as deletions
        order by seq limit ${limit}`.execute(db);
      return rows.map(changeOf);
    },

    lastSeq: (catalogue) => lastSeq(db, catalogue),

    async recordSnapshot(catalogue, snapshot, seq) {
      checkCatalogue(catalogue);
      const insert = db.insertInto('snapshots').values({ catalogue, artifact: snapshot, seq });
      await insert.onConflict((oc) => oc.columns(['catalogue', 'artifact']).doNothing()).execute();
    },

    async snapshotSeq(catalogue, snapshot) {
      const query = db.selectFrom('snapshots').select('seq').where('catalogue', '=', catalogue);
      return Number((await query.where('artifact', '=', snapshot).executeTakeFirst())?.seq ?? 0);
    },

    async repictured(catalogue, ids, after) {
      const rows = await findItems(db, catalogue, ids);
      return new Set(rows.filter((row) => Number(row.image_seq) > after).map(({ id }) => id));
    },

    targets: () => targets(db),

    async unembedded({ catalogue, model, sinceSeq }, { after, limit }) {
      const rows = await db
        .selectFrom('items as i')
        .leftJoin('picture_vectors as v', (join) =>
          join.onRef('v.catalogue', '=', 'i.catalogue').on('v.model', '=', model).onRef('v.image', '=', 'i.image'),
        )
        .where('i.catalogue', '=', catalogue)
        .where('i.seq', '>', Math.max(after, sinceSeq))
        .where('i.image_seq', '>', sinceSeq)
        .where('v.image', 'is', null)
        .select(['i.image', 'i.seq'])
        .orderBy('i.seq')
        .limit(limit)
        .execute();
      return rows.map(({ image, seq }) => ({ image, seq: Number(seq) }));
    },

    async putVectors(catalogue, model, vectors) {
      checkCatalogue(catalogue);
      for (const chunk of inChunks(vectors)) {
        const values = chunk.map((one) => ({
          ...{ catalogue, model, image: one.image },
          vector: one.vector === null ? null : encode(one.vector),
          reason: one.vector === null ? one.reason : null,
        }));
        const insert = db.insertInto('picture_vectors').values(values);
        await insert.onConflict((oc) => oc.columns(['catalogue', 'model', 'image']).doNothing()).execute();
      }
    },

    async numVectors(catalogue, model) {
      const query = db.selectFrom('picture_vectors').where('catalogue', '=', catalogue).where('model', '=', model);
      return Number((await query.select((eb) => eb.fn.countAll().as('count')).executeTakeFirstOrThrow()).count);
    },

    async vectors(catalogue, model, images) {
      const found = new Map<string, Float32Array | null>();
      for (const chunk of inChunks(images)) {
        const query = db.selectFrom('picture_vectors').select(['image', 'vector']).where('catalogue', '=', catalogue);
        const rows = await query.where('model', '=', model).where('image', 'in', chunk).execute();
        for (const { image, vector } of rows) found.set(image, vector === null ? null : decode(vector));
      }
      return found;
    },

    prune: (catalogue) =>
      database.write(`prune:${catalogue}`, async (tx) => {
        const wanted = (await targets(tx)).filter((target) => target.catalogue === catalogue);
        if (wanted.length > 0) wanted.push(...(await rollbackTargets(tx, catalogue)));
        return (await pruneVectors(tx, catalogue, wanted)) + (await pruneDeletions(tx, catalogue));
      }),
  };
}

/** What hosts hold shards of, and what is being built with a model already, so that it lacks nothing when it comes to serve. */
async function targets(db: Db): Promise<DeltaTarget[]> {
  const rows = await generationsWithSnapshots(db)
    .where('g.model', 'is not', null)
    .where((eb) => {
      const ofCatalogue = eb.selectFrom('generations as n').whereRef('n.catalogue', '=', 'g.catalogue');
      const newest = ofCatalogue.select((one) => one.fn.max('n.number').as('number'));
      const held = eb.selectFrom('endpoints as e').whereRef('e.catalogue', '=', 'g.catalogue').select('e.url');
      return eb.or([
        eb.exists(held.whereRef('e.generation', '=', 'g.number')),
        // An older one that says so belongs to a run that ended without a word.
        eb.and([eb('g.status', '=', 'building'), eb('g.number', '=', newest)]),
      ]);
    })
    .select(['g.catalogue', 'g.model', 's.seq'])
    .distinct()
    .execute();
  return rows.map(targetOf);
}

/** What the serving generation replaced: a rollback to it finds what was embedded for it. */
async function rollbackTargets(tx: Db, catalogue: string): Promise<DeltaTarget[]> {
  const rows = await generationsWithSnapshots(tx)
    .innerJoin('generations as n', (join) =>
      join.onRef('n.catalogue', '=', 'g.catalogue').onRef('n.replaced', '=', 'g.number'),
    )
    .where('n.catalogue', '=', catalogue)
    .where('n.status', '=', 'serving')
    .where('g.model', 'is not', null)
    .select(['g.catalogue', 'g.model', 's.seq'])
    .execute();
  return rows.map(targetOf);
}

/** As `g` and `s`; one without a snapshot on record is from before changes were numbered. */
function generationsWithSnapshots(db: Db) {
  return db
    .selectFrom('generations as g')
    .leftJoin('snapshots as s', (join) =>
      join.onRef('s.catalogue', '=', 'g.catalogue').onRef('s.artifact', '=', 'g.snapshot'),
    );
}

function targetOf(row: { catalogue: string; model: string | null; seq: number | string | null }): DeltaTarget {
  return { catalogue: row.catalogue, model: row.model ?? '', sinceSeq: Number(row.seq ?? 0) };
}

/** Of each model, what came after the oldest snapshot that it serves stays. */
async function pruneVectors(tx: Db, catalogue: string, wanted: readonly DeltaTarget[]): Promise<number> {
  const since = new Map<string, number>();
  for (const { model, sinceSeq } of wanted) since.set(model, Math.min(sinceSeq, since.get(model) ?? Infinity));
  // Between two generations, or while hosts are away, there are none: what they will need again stays.
  if (since.size === 0) return 0;
  const all = tx.deleteFrom('picture_vectors').where('catalogue', '=', catalogue);
  let pruned = Number((await all.where('model', 'not in', [...since.keys()]).executeTakeFirstOrThrow()).numDeletedRows);
  for (const [model, seq] of since) {
    const used = tx.selectFrom('items').select('image').where('catalogue', '=', catalogue).where('seq', '>', seq);
    const unused = all.where('model', '=', model).where('image', 'not in', used);
    pruned += Number((await unused.executeTakeFirstOrThrow()).numDeletedRows);
  }
  return pruned;
}

/** A deletion is told to shards whose snapshot still has the item. */
async function pruneDeletions(tx: Db, catalogue: string): Promise<number> {
  const rows = await generationsWithSnapshots(tx)
    .where('g.catalogue', '=', catalogue)
    .where('g.status', 'in', ['building', 'serving', 'retired'])
    .select('s.seq')
    .execute();
  if (rows.length === 0) return 0;
  const oldest = Math.min(...rows.map(({ seq }) => Number(seq ?? 0)));
  const old = tx.deleteFrom('deleted_items').where('catalogue', '=', catalogue).where('seq', '<=', oldest);
  return Number((await old.executeTakeFirstOrThrow()).numDeletedRows);
}

function changeOf({ seq, id, image, image_seq, category, attributes }: FeedRow): CatalogueChange {
  if (image === null) return { kind: 'delete', seq: Number(seq), id };
  return {
    ...{ kind: 'put', seq: Number(seq), id, image, imageSeq: Number(image_seq), category },
    attributes: JSON.parse(attributes ?? '{}') as JsonObject,
  };
}

function encode(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

function decode(text: string): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
}
