import type { TrainingStore } from '../../contracts/registry.ts';
import type { Database } from './database.ts';

export function createTrainingStore({ db }: Database): TrainingStore {
  return {
    async announceShard({ run, shard, url, attempt = 0 }) {
      const insert = db.insertInto('training_shards').values({ run, shard, url, attempt });
      const upsert = insert.onConflict((oc) =>
        oc.columns(['run', 'shard']).doUpdateSet({ url, attempt }).where('training_shards.attempt', '<=', attempt),
      );
      return (await upsert.returning('url').executeTakeFirst()) !== undefined;
    },
    async withdrawShard({ run, shard, url }) {
      const mine = db.deleteFrom('training_shards').where('run', '=', run).where('shard', '=', shard);
      await mine.where('url', '=', url).execute();
    },
    shards: (run) => db.selectFrom('training_shards').selectAll().where('run', '=', run).orderBy('shard').execute(),
    async forget(run) {
      await db.deleteFrom('training_shards').where('run', '=', run).execute();
    },
  };
}
