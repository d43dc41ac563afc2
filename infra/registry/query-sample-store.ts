import type { QuerySampleStore } from '../../contracts/registry.ts';
import type { Database } from './database.ts';
import { checkCatalogue } from './text.ts';

/** Enough for a mean with an error of a few hundredths; together about 500 kB a catalogue at 256 dimensions. */
export const NUM_REFERENCE_QUERIES = 256;
export const NUM_RECENT_QUERIES = 256;

/** Vectors as base64 of little-endian f32. */
export function createQuerySampleStore(database: Database): QuerySampleStore {
  return {
    add(catalogue, model, vector) {
      checkCatalogue(catalogue);
      return database.write(`queries:${catalogue}`, async (tx) => {
        const drop = tx.deleteFrom('query_samples').where('catalogue', '=', catalogue);
        await drop.where('model', '!=', model).execute();
        const all = tx.selectFrom('query_samples').where('catalogue', '=', catalogue).where('model', '=', model);
        const last = await all.select((eb) => eb.fn.max('seq').as('seq')).executeTakeFirst();
        const seq = Number(last?.seq ?? 0) + 1;
        const text = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
        await tx.insertInto('query_samples').values({ catalogue, model, seq, vector: text }).execute();
        const middle = drop.where('model', '=', model).where('seq', '>', NUM_REFERENCE_QUERIES);
        await middle.where('seq', '<=', seq - NUM_RECENT_QUERIES).execute();
      });
    },
    async of(catalogue, model) {
      const all = database.db.selectFrom('query_samples').where('catalogue', '=', catalogue).where('model', '=', model);
      const rows = await all.select(['seq', 'vector']).orderBy('seq').execute();
      const decoded = rows.map(({ seq, vector }) => ({ seq: Number(seq), vector: decode(vector) }));
      return {
        reference: decoded.filter(({ seq }) => seq <= NUM_REFERENCE_QUERIES).map(({ vector }) => vector),
        recent: decoded.filter(({ seq }) => seq > NUM_REFERENCE_QUERIES).map(({ vector }) => vector),
      };
    },
  };
}

function decode(text: string): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
}
