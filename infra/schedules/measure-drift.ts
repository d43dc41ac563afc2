import { setImmediate } from 'node:timers/promises';
import type { QueryDrift } from '../../contracts/schedules.ts';
import { compareMeans, nearestSimilarities } from '../../lib/drift/nearest-similarity.ts';
import { openEmbeddings } from '../embeddings/read-embeddings.ts';
import type { StoredEmbeddings } from '../embeddings/read-embeddings.ts';
import { throwIfStopped } from '../snapshot/read-snapshot.ts';
import type { Stores } from '../stores.ts';

/** Rows that queries are compared with, evenly spread over a larger catalogue: the same for old and new queries, so their means compare. */
const MAX_ROWS = 5_000;

/** Queries between two looks at the event loop: about 40 ms at 256 dimensions. */
const QUERIES_AT_ONCE = 16;

/**
 * How near the sampled queries of the serving model are to the catalogue it serves, when the model was new and lately.
 * @throws LookalikeError `cancelled` | `corruptArtifact` | `notFound`
 */
export async function measureDrift(
  stores: Pick<Stores, 'artifacts' | 'registry'>,
  catalogue: string,
  signal: AbortSignal,
): Promise<QueryDrift> {
  const [serving] = await stores.registry.generations.list(catalogue, 'serving');
  if (serving === undefined || serving.model === null || serving.embeddings === null) return NOTHING_SERVES;
  const { reference, recent } = await stores.registry.queries.of(catalogue, serving.model);
  await using stored = await openEmbeddings(stores, serving.embeddings);
  const rows = await spreadRows(stored);
  const near = async (queries: readonly Float32Array[]): Promise<Float64Array> => {
    const found: number[] = [];
    for (let at = 0; at < queries.length && rows.length > 0; at += QUERIES_AT_ONCE) {
      throwIfStopped(signal);
      found.push(...nearestSimilarities(queries.slice(at, at + QUERIES_AT_ONCE), rows, stored.dim));
      await setImmediate();
    }
    return Float64Array.from(found);
  };
  const means = compareMeans(await near(reference), await near(recent));
  return {
    generation: serving.number,
    numReference: reference.length,
    numRecent: recent.length,
    reference: means.before,
    recent: means.now,
    standardError: means.standardError,
  };
}

const NOTHING_SERVES: QueryDrift = {
  generation: null,
  numReference: 0,
  numRecent: 0,
  reference: null,
  recent: null,
  standardError: null,
};

async function spreadRows(stored: StoredEmbeddings): Promise<Float32Array> {
  const { images, dim } = stored;
  const count = Math.min(images.length, MAX_ROWS);
  const rows = new Float32Array(count * dim);
  for (let i = 0; i < count; i++) {
    const picture = await stored.read(Math.floor((i * images.length) / count), 1);
    rows.set(picture.subarray(0, dim), i * dim);
  }
  return rows;
}
