import { LookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { GenerationStore } from '../../contracts/registry.ts';
import type { Generation, GenerationStatus, GenerationSwitch, SwitchOrder } from '../../contracts/serving.ts';
import { canonicalJson } from '../artifacts/canonical-json.ts';
import type { Database, Db } from './database.ts';
import type { Tables } from './schema.ts';
import { checkCatalogue } from './text.ts';

type Row = Tables['generations'];

/** What routers must know of a generation's artefacts; immutable, so it is looked up once, at the switch. */
export type ShapeOf = (model: string, index: string) => Promise<{ dim: number; numShards: number }>;

/** Generations; their numbers only grow, and the database forbids two that serve at once. */
export function createGenerationStore(database: Database, shapeOf: ShapeOf): GenerationStore {
  const { db } = database;
  return {
    create(draft) {
      checkCatalogue(draft.catalogue);
      const { catalogue, snapshot, workflowId, workflowRunId } = draft;
      return database.write(scopeOf(catalogue), async (tx) => {
        const all = tx.selectFrom('generations').where('catalogue', '=', catalogue);
        const known = await all.selectAll().where('workflow_run_id', '=', workflowRunId).executeTakeFirst();
        if (known) return generationOf(known);
        const last = await all.select((eb) => eb.fn.max('number').as('number')).executeTakeFirst();
        const row: Row = {
          catalogue,
          number: Number(last?.number ?? 0) + 1,
          status: 'building',
          snapshot,
          model: null,
          embeddings: null,
          index_artifact: null,
          metrics: '{}',
          workflow_id: workflowId,
          workflow_run_id: workflowRunId,
          created_at: new Date().toISOString(),
          dim: null,
          num_shards: null,
          replaced: null,
        };
        await tx.insertInto('generations').values(row).execute();
        return generationOf(row);
      });
    },

    update: (catalogue, number, change) =>
      database.write(scopeOf(catalogue), async (tx) => {
        const row = await mustFind(tx, catalogue, number);
        if (change.status === 'serving' && row.status !== 'serving') {
          throw new LookalikeError(
            'invalidInput',
            `Expected generation ${number} to start serving by switchTo, which also retires the one before; got update.`,
          );
        }
        const changed: Partial<Row> = {
          ...(change.status !== undefined && { status: change.status }),
          ...(change.model !== undefined && { model: change.model }),
          ...(change.embeddings !== undefined && { embeddings: change.embeddings }),
          ...(change.index !== undefined && { index_artifact: change.index }),
          ...(change.metrics !== undefined && { metrics: canonicalJson(change.metrics) }),
        };
        if (Object.keys(changed).length > 0) await set(tx, catalogue, number, changed);
        return generationOf({ ...row, ...changed });
      }),

    async get(catalogue, number) {
      const row = await find(db, catalogue, number);
      return row && generationOf(row);
    },

    async list(catalogue, status) {
      let query = db.selectFrom('generations').selectAll().where('catalogue', '=', catalogue);
      if (status !== undefined) query = query.where('status', '=', status);
      return (await query.orderBy('number').execute()).map(generationOf);
    },

    async switchTo(catalogue, number, order) {
      const target = await mustFind(db, catalogue, number);
      const { model, index_artifact: index } = target;
      if (target.status === 'failed' || model === null || index === null) {
        throw new LookalikeError(
          'conflict',
          `Expected generation ${number} of "${catalogue}" to have a model and an index and not to have failed; ` +
            `got status ${target.status}, model ${model}, index ${index}.`,
        );
      }
      const shape = await shapeOf(model, index);
      return database.write(scopeOf(catalogue), async (tx) => {
        const row = await mustFind(tx, catalogue, number);
        if (row.status === 'failed' || row.model !== model || row.index_artifact !== index) {
          throw new LookalikeError(
            'conflict',
            `Expected generation ${number} not to change during the switch; it did.`,
          );
        }
        if (row.status === 'serving') {
          // Asked again after a lost answer: the same answer.
          return row.replaced === null ? undefined : optional(await find(tx, catalogue, row.replaced));
        }
        const serving = tx.selectFrom('generations').selectAll().where('catalogue', '=', catalogue);
        const before = await serving.where('status', '=', 'serving').executeTakeFirst();
        if (before) await set(tx, catalogue, before.number, { status: 'retired' });
        const change = { status: 'serving', dim: shape.dim, num_shards: shape.numShards };
        await set(tx, catalogue, number, { ...change, replaced: before?.number ?? null });
        const wanted: SwitchOrder = order ?? { how: 'retrain', by: row.workflow_id, reason: null };
        await record(tx, catalogue, { ...wanted, generation: number, previous: before?.number ?? null });
        return before && generationOf({ ...before, status: 'retired' });
      });
    },

    async switches(catalogue) {
      const rows = await db
        .selectFrom('switches')
        .selectAll()
        .where('catalogue', '=', catalogue)
        .orderBy('seq')
        .execute();
      return rows.map(({ generation, previous, how, ordered_by: by, reason, at }): GenerationSwitch => ({
        generation,
        previous,
        how: how as SwitchOrder['how'],
        by,
        reason,
        at,
      }));
    },
  };
}

/** The caller holds the scope of the catalogue's generations, so no two rows want one number. */
async function record(db: Db, catalogue: string, made: Omit<GenerationSwitch, 'at'>): Promise<void> {
  const all = db.selectFrom('switches').where('catalogue', '=', catalogue);
  const last = await all.select((eb) => eb.fn.max('seq').as('seq')).executeTakeFirst();
  const { generation, previous, how, by, reason } = made;
  const row = { catalogue, seq: Number(last?.seq ?? 0) + 1, generation, previous, how, ordered_by: by, reason };
  await db
    .insertInto('switches')
    .values({ ...row, at: new Date().toISOString() })
    .execute();
}

const scopeOf = (catalogue: string): string => `generations:${catalogue}`;

function find(db: Db, catalogue: string, number: number): Promise<Row | undefined> {
  const query = db.selectFrom('generations').selectAll().where('catalogue', '=', catalogue);
  return query.where('number', '=', number).executeTakeFirst();
}

async function mustFind(db: Db, catalogue: string, number: number): Promise<Row> {
  const row = await find(db, catalogue, number);
  if (row) return row;
  throw new LookalikeError('notFound', `Expected a generation ${number} of catalogue "${catalogue}", found none.`);
}

async function set(db: Db, catalogue: string, number: number, change: Partial<Row>): Promise<void> {
  const query = db.updateTable('generations').set(change).where('catalogue', '=', catalogue);
  await query.where('number', '=', number).execute();
}

function optional(row: Row | undefined): Generation | undefined {
  return row && generationOf(row);
}

function generationOf(row: Row): Generation {
  return {
    catalogue: row.catalogue,
    number: row.number,
    status: row.status as GenerationStatus,
    snapshot: row.snapshot,
    model: row.model,
    embeddings: row.embeddings,
    index: row.index_artifact,
    metrics: JSON.parse(row.metrics) as JsonObject,
    workflowId: row.workflow_id,
    createdAt: row.created_at,
  };
}
