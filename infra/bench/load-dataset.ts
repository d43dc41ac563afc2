import { basename } from 'node:path';
import type { Stores } from '../stores.ts';
import type { BenchOptions } from './bench-options.ts';
import { numQueriesOf } from './bench-options.ts';
import { catalogueVectors } from './catalogue-vectors.ts';
import { firstRows, makeDataset } from './dataset.ts';
import type { Dataset } from './dataset.ts';
import { checkFits } from './memory-check.ts';
import { readVectors } from './read-vectors.ts';
import { syntheticVectors } from './synthetic.ts';
import type { VectorSet } from './vector-set.ts';

/** Opens the stores that catalogues live in; only called where one is named. */
export type UseStores = <T>(use: (stores: Pick<Stores, 'artifacts' | 'registry'>) => Promise<T>) => Promise<T>;

/**
 * The vectors and queries of a run.
 * @throws LookalikeError `notFound` | `invalidInput` | `dimensionMismatch` | `nonFinite`
 */
export async function loadDataset(
  { source, metric, seed, quick, python }: BenchOptions,
  useStores: UseStores,
  signal: AbortSignal,
): Promise<Dataset> {
  const fits = ({ size, dim }: Pick<VectorSet, 'size' | 'dim'>): void =>
    checkFits(size, dim, python !== null, process.availableMemory());
  const common = { metric, seed, numQueries: numQueriesOf(quick) };
  switch (source.kind) {
    case 'synthetic': {
      const { size, dim, noiseRank } = source;
      // The queries come on top, so that what is searched has the size that was asked for.
      const drawn = size + Math.min(common.numQueries, Math.floor(size / 4));
      fits({ size: drawn, dim });
      const vectors = await syntheticVectors({ size: drawn, dim, noiseRank, seed, signal });
      return makeDataset({ ...common, name: `synthetic ${size} x ${dim}, noise rank ${noiseRank}`, vectors });
    }
    case 'file': {
      const read = await readVectors(source.path, source.column);
      const vectors = source.size === undefined ? read : firstRows(read, source.size);
      fits(vectors);
      const queries = source.queries === undefined ? undefined : await readVectors(source.queries, source.column);
      return makeDataset({ ...common, name: basename(source.path), vectors, queries });
    }
    case 'catalogue': {
      const all = await useStores((stores) => catalogueVectors(stores, source.catalogue));
      const vectors = source.size === undefined ? all : firstRows(all, source.size);
      fits(vectors);
      return makeDataset({ ...common, name: `catalogue ${source.catalogue}`, vectors });
    }
  }
}
