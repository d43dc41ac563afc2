import { z } from 'zod';
import { isLookalikeError } from '../../contracts/errors.ts';
import type { LookalikeError } from '../../contracts/errors.ts';
import type { ShardExplanation, ShardSearchExplanation } from '../../contracts/serving.ts';
import type { Asked } from './ask-shard.ts';

const SearchResponse = z.object({
  artifact: z.string(),
  size: z.number(),
  searchMs: z.number(),
  hits: z.array(z.object({ id: z.string(), score: z.number() })),
  facets: z.array(z.object({ values: z.array(z.tuple([z.string(), z.number()])), rest: z.number() })).optional(),
  explanation: z.custom<ShardSearchExplanation>((value) => typeof value === 'object').optional(),
});

export interface ShardReplies {
  /** Of the shards that answered, in their order. */
  answers: z.infer<typeof SearchResponse>[];
  /** Of every shard, in their order. */
  shards: ShardExplanation[];
  /** Of a shard that did not answer. */
  failure: LookalikeError | undefined;
}

/**
 * What the shards say to a search.
 * @param asked in the order of the shards
 * @throws the first failure; with `allowPartial` only one that is the caller's mistake
 */
export async function gather(asked: Promise<Asked>[], allowPartial: boolean): Promise<ShardReplies> {
  if (!allowPartial) await Promise.all(asked);
  const answers: ShardReplies['answers'] = [];
  const shards: ShardExplanation[] = [];
  let failure: LookalikeError | undefined;
  for (const [shard, each] of (await Promise.allSettled(asked)).entries()) {
    if (each.status === 'fulfilled') {
      const answer = SearchResponse.parse(each.value.answer);
      answers.push(answer);
      shards.push(describe(shard, each.value, answer));
    } else if (isLookalikeError(each.reason) && each.reason.retryable) {
      failure = each.reason;
      shards.push({ shard, answered: false, replica: null, host: null, failure: failure.code });
    } else throw each.reason;
  }
  return { answers, shards, failure };
}

function describe(
  shard: number,
  { replica, numAsked, isHedged, ms }: Asked,
  { size, searchMs, explanation }: ShardReplies['answers'][number],
): ShardExplanation {
  const from = { replica: replica.replica, host: replica.host };
  return { shard, answered: true, ...from, numAsked, isHedged, ms, searchMs, numRows: size, ...explanation };
}
