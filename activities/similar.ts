import { LookalikeError } from '../contracts/errors.ts';
import type { SimilarSummary } from '../contracts/similar.ts';
import { assembleSimilar, planSimilar } from '../infra/similar/assemble-similar.ts';
import { findSimilarChunk } from '../infra/similar/find-chunk.ts';
import type { Stores } from '../infra/stores.ts';
import { beating, quick } from './heartbeat.ts';
import type { SimilarActivities, SimilarRecordActivities } from './interfaces.ts';
import { watchPublishing } from './reused.ts';

/** What a batch of neighbours does to the records. */
export function createSimilarRecordActivities(stores: Pick<Stores, 'registry'>): SimilarRecordActivities {
  const { generations, similar } = stores.registry;
  return {
    servingIndex: ({ catalogue }) =>
      quick(async () => {
        const [serving] = await generations.list(catalogue, 'serving');
        if (serving === undefined || serving.index === null) {
          throw new LookalikeError(
            'notFound',
            `Expected a generation of "${catalogue}" that serves, found none. Run a retrain first.`,
          );
        }
        return { generation: serving.number, index: serving.index };
      }),
    recordSimilar: ({ catalogue, index, similar: artifact }) => quick(() => similar.record(catalogue, index, artifact)),
  };
}

/** Searches every item of an index and joins what was found. */
export function createSimilarActivities(stores: Pick<Stores, 'artifacts'>): SimilarActivities {
  return {
    planSimilar: ({ index, config }) => beating(() => planSimilar(stores, index, config)),

    findSimilarChunk: (input) =>
      beating(async ({ signal, report }) => {
        const watched = watchPublishing(stores);
        const onProgress = (done: number, total: number): void => report({ done, total });
        const made = await findSimilarChunk({ stores: watched.stores, ...input, signal, onProgress });
        return { artifact: made.id, reused: watched.reused() };
      }),

    assembleSimilar: (input) =>
      beating(async ({ signal, report }) => {
        const watched = watchPublishing(stores);
        const onProgress = (done: number, total: number): void => report({ done, total });
        const made = await assembleSimilar({ stores: watched.stores, ...input, signal, onProgress });
        const { numItems, numGroups, numGrouped } = made.manifest.summary as unknown as SimilarSummary;
        return { artifact: made.id, reused: watched.reused(), numItems, numGroups, numGrouped };
      }),
  };
}
