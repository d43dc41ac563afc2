import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { IndexSpec } from '../contracts/ann.ts';
import type { BuildIndexInput, BuildIndexOutput } from '../contracts/workflows.ts';
import { building } from './activity-options.ts';
import { modelKey, statusKey } from './messages.ts';
import { slidingWindow } from './sliding-window.ts';

/** Shards built at once: a build takes a core for minutes, and more waiting tasks would only queue. */
const WINDOW = 16;

/**
 * Builds every shard, then publishes the index that names them, after it was compared with exact search: an index below
 * `minIndexRecall` fails the run with `gateRejected` and no index is published. A spec `auto` is first resolved by measuring, and the
 * choice is kept as an artefact that the index names. Bounded: a few events per shard.
 * On cancel finished shards stay in the store and the next run finds them.
 */
export async function buildIndex(input: BuildIndexInput): Promise<BuildIndexOutput> {
  const { snapshot, embeddings, model, numShards, minIndexRecall } = input;
  upsertSearchAttributes([{ key: modelKey, value: model }]);
  const { spec, choice } = await resolveSpec(input);
  const shards = new Array<string>(numShards);
  let finished = 0;
  await slidingWindow({ next: 0, last: numShards, width: WINDOW, pause: () => false }, async (shard) => {
    const made = await building.buildShard({ snapshot, embeddings, model, spec, shard, numShards });
    shards[shard] = made.artifact;
    finished += 1;
    setCurrentDetails(`${finished} of ${numShards} shards built.`);
  });
  const index = await building.publishIndex({
    ...{ snapshot, embeddings, model, spec, shards, minIndexRecall },
    ...(choice !== undefined && { choice }),
  });
  setCurrentDetails(`Index \`${index.artifact}\` of ${numShards} shards, recall@10 against exact ${index.recall}.`);
  upsertSearchAttributes([{ key: statusKey, value: index.reused ? 'reused' : 'done' }]);
  return { index: index.artifact, recall: index.recall, reused: index.reused };
}

/** What shards are built as; `choice` where that had to be found out. */
async function resolveSpec(input: BuildIndexInput): Promise<{ spec: IndexSpec; choice?: string }> {
  const { snapshot, embeddings, model, spec, numShards } = input;
  if (spec.kind !== 'auto') return { spec };
  setCurrentDetails('Choosing an index by measuring on a sample.');
  const made = await building.chooseIndex({ snapshot, embeddings, model, wish: spec, numShards });
  setCurrentDetails(made.reason);
  return { spec: made.spec, choice: made.artifact };
}
