import { assembleEmbeddings } from '../infra/embeddings/assemble-embeddings.ts';
import { planEmbedding } from '../infra/embeddings/plan-embedding.ts';
import { compareModels } from '../infra/evaluation/compare-models.ts';
import { buildShard, chooseIndexSpec, publishIndex } from '../infra/shards/index.ts';
import type { Stores } from '../infra/stores.ts';
import { beating } from './heartbeat.ts';
import type { BuildActivities } from './interfaces.ts';
import { watchPublishing } from './reused.ts';
import { stoppable } from './stoppable.ts';

export interface BuildDeps {
  stores: Pick<Stores, 'artifacts'>;
}

/** Everything between vectors and a verified index. */
export function createBuildActivities({ stores }: BuildDeps): BuildActivities {
  return {
    planEmbedding: (input) => beating(({ signal }) => planEmbedding(stoppable(stores, signal), input)),

    assembleEmbeddings: (input) =>
      beating(async ({ signal }) => {
        const watched = watchPublishing(stores);
        const made = await assembleEmbeddings({ stores: watched.stores, ...input, signal });
        return {
          artifact: made.id,
          reused: watched.reused(),
          numRejected: Number(made.manifest.summary.numRejected),
        };
      }),

    chooseIndex: (input) =>
      beating(async ({ signal, report }) => {
        const watched = watchPublishing(stores);
        const onProgress = (done: number, total: number): void => report({ done, total });
        const { artifact, ...choice } = await chooseIndexSpec({ stores: watched.stores, ...input, signal, onProgress });
        return { artifact: artifact.id, reused: watched.reused(), ...choice };
      }),

    buildShard: (input) =>
      beating(async ({ signal, report }) => {
        const watched = watchPublishing(stores);
        const onProgress = (done: number, total: number): void => report({ done, total });
        const made = await buildShard({ stores: watched.stores, ...input, signal, onProgress });
        return { artifact: made.id, reused: watched.reused() };
      }),

    publishIndex: (input) =>
      beating(async ({ signal, report }) => {
        const watched = watchPublishing(stores);
        const onProgress = (done: number, total: number): void => report({ done, total });
        const { artifact, recall } = await publishIndex({ stores: watched.stores, ...input, signal, onProgress });
        return { artifact: artifact.id, reused: watched.reused(), recall };
      }),

    compareModels: (input) => beating(() => compareModels(stores.artifacts, input)),
  };
}
