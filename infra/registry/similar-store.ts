import type { SimilarStore } from '../../contracts/registry.ts';
import type { Database } from './database.ts';

export function createSimilarStore({ db }: Database): SimilarStore {
  return {
    async record(catalogue, index, artifact) {
      const insert = db.insertInto('similar_items').values({ catalogue, index_artifact: index, artifact });
      await insert.onConflict((oc) => oc.columns(['catalogue', 'index_artifact']).doUpdateSet({ artifact })).execute();
    },
    async of(catalogue, index) {
      const query = db.selectFrom('similar_items').select('artifact').where('catalogue', '=', catalogue);
      return (await query.where('index_artifact', '=', index).executeTakeFirst())?.artifact;
    },
  };
}
