import { mergeTopK } from '../../lib/ann/merge.ts';
import type { ScoredId } from '../../lib/ann/merge.ts';
import { answerTask } from './answer-task.ts';
import { openShard } from './shard.ts';
import type { Shard, ShardFiles } from './shard.ts';

/** Input of the thread that measures an index's recall. */
export interface RecallTaskInput {
  shards: ShardFiles[];
  k: number;
  numQueries: number;
  seed: number;
}
export interface RecallTaskOutput {
  /** Share of the true nearest neighbours that the index found, 0..1; 1 when nothing can be asked. */
  recall: number;
  numQueries: number;
}

await answerTask<RecallTaskInput, RecallTaskOutput>(async ({ shards: files, k, numQueries, seed }, onProgress) => {
  const shards: Shard[] = [];
  for (const each of files) shards.push(await openShard(each));
  const queries = sample(
    shards.flatMap((shard) => shard.ids.map((id) => ({ shard, id }))),
    numQueries,
    seed,
  );
  let found = 0;
  let wanted = 0;
  for (const [i, { shard, id }] of queries.entries()) {
    const vector = shard.vectors([id]).get(id)!;
    // One more than k, because the query item itself is set aside on both sides.
    const ask = (exact: boolean): ScoredId[] =>
      mergeTopK(
        shards.map((each) => each.search({ vector, k: k + 1, exact }).hits),
        k + 1,
      )
        .filter((hit) => hit.id !== id)
        .slice(0, k);
    const truth = ask(true);
    const last = truth.at(-1);
    if (last !== undefined) {
      // By score, not by id: among items as near as the last true one it does not matter which are named.
      found += Math.min(truth.length, ask(false).filter((hit) => hit.score >= last.score).length);
      wanted += truth.length;
    }
    onProgress(i + 1, queries.length);
  }
  return { recall: wanted === 0 ? 1 : found / wanted, numQueries: queries.length };
});

/** `count` different elements by a seeded partial Fisher-Yates shuffle. */
function sample<T>(all: T[], count: number, seed: number): T[] {
  let state = seed >>> 0;
  const taken = Math.min(count, all.length);
  for (let i = 0; i < taken; i++) {
    // Numerical Recipes' linear congruential generator: its high bits are good enough to pick queries.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = i + Math.floor((state / 2 ** 32) * (all.length - i));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, taken);
}
