import type { CheckpointStore } from '../../contracts/registry.ts';
import type { Database } from './database.ts';

/** The last one may turn out damaged: keep the one before too. */
const KEPT = 2;

export function createCheckpointStore(database: Database): CheckpointStore {
  return {
    record: (run, step, artifact) =>
      database.write(`checkpoints:${run}`, async (tx) => {
        const insert = tx.insertInto('checkpoints').values({ run, step, artifact });
        await insert.onConflict((oc) => oc.columns(['run', 'step']).doUpdateSet({ artifact })).execute();
        const all = tx.selectFrom('checkpoints').where('run', '=', run).select('step').orderBy('step', 'desc');
        const oldestKept = (await all.limit(KEPT).execute()).at(-1);
        if (oldestKept === undefined) return;
        await tx.deleteFrom('checkpoints').where('run', '=', run).where('step', '<', oldestKept.step).execute();
      }),
    latest: (run) => {
      const query = database.db.selectFrom('checkpoints').select(['step', 'artifact']).where('run', '=', run);
      return query.orderBy('step', 'desc').execute();
    },
    forget: (run) =>
      database.write(`checkpoints:${run}`, async (tx) => {
        await tx.deleteFrom('checkpoints').where('run', '=', run).execute();
      }),
  };
}
