import { LookalikeError } from '../../contracts/errors.ts';
import { openEmbeddings } from '../embeddings/read-embeddings.ts';
import type { Stores } from '../stores.ts';
import type { VectorSet } from './vector-set.ts';

/** Pictures read at a time: their other views are read with them and dropped. */
const PAGE = 4_096;

/**
 * The embeddings that serve a catalogue: one row for each distinct picture, in its plain view.
 * @throws LookalikeError `notFound` when nothing serves; `corruptArtifact`
 */
export async function catalogueVectors(
  stores: Pick<Stores, 'artifacts' | 'registry'>,
  catalogue: string,
): Promise<VectorSet> {
  const [serving] = await stores.registry.generations.list(catalogue, 'serving');
  if (!serving?.embeddings) {
    throw new LookalikeError(
      'notFound',
      `Expected a generation that serves the catalogue "${catalogue}", found none. Run \`lookalike retrain\` first.`,
    );
  }
  await using stored = await openEmbeddings(stores, serving.embeddings);
  const { dim, views } = stored;
  const size = stored.images.length;
  const data = new Float32Array(size * dim);
  for (let first = 0; first < size; first += PAGE) {
    const count = Math.min(PAGE, size - first);
    const rows = await stored.read(first, count);
    for (let i = 0; i < count; i++) {
      data.set(rows.subarray(i * views * dim, (i * views + 1) * dim), (first + i) * dim);
    }
  }
  return { data, size, dim };
}
