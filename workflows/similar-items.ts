import {
  allHandlersFinished,
  condition,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { SimilarItemsInput, SimilarItemsOutput } from '../contracts/similar.ts';
import type { RetrainProgress } from '../contracts/workflows.ts';
import { neighbours, similarRecords } from './activity-options.ts';
import { generationKey, progressQuery, statusKey } from './messages.ts';
import { carryOn, isRunLong } from './continuation.ts';
import { slidingWindow } from './sliding-window.ts';

/** Chunks in flight: each takes a core for a minute or so, and more waiting tasks would only queue. */
const WINDOW = 4;

/**
 * The nearest neighbours of every item of the generation that serves when the run starts, chunk by chunk, near-duplicates taken
 * together, as one artefact that the API answers from. Each chunk is a durable artefact: nothing finished is done twice. The
 * history is bounded by the cursor, as in `embedCatalogue`. A switch of generations meanwhile does not disturb the run; its
 * result is then recorded with the index that it was made from, and the API answers live for the new one.
 */
export async function similarItems(input: SimilarItemsInput): Promise<SimilarItemsOutput> {
  const { catalogue, config } = input;
  const progress: RetrainProgress['steps'][number] = { name: 'similar', status: 'running', detail: 'Planning.' };
  setHandler(progressQuery, () => ({ steps: [progress] }));
  const tell = (detail: string): void => {
    progress.detail = detail;
    setCurrentDetails(detail);
  };

  const cursor = input.cursor ?? (await plan(input));
  const { generation, index, numChunks } = cursor;
  upsertSearchAttributes([{ key: generationKey, value: String(generation) }]);

  const pauseAt = input.chunksPerRun === undefined ? Infinity : cursor.nextChunk + input.chunksPerRun;
  let started = cursor.nextChunk;
  let finished = cursor.nextChunk;
  tell(`${finished} of ${numChunks} chunks.`);
  const nextChunk = await slidingWindow(
    {
      next: cursor.nextChunk,
      last: numChunks,
      width: WINDOW,
      pause: () => started >= pauseAt || isRunLong(),
    },
    async (chunk) => {
      started += 1;
      await neighbours.findSimilarChunk({ index, config, chunk });
      finished += 1;
      tell(`${finished} of ${numChunks} chunks, ${cursor.numItems} items in all.`);
    },
  );
  if (nextChunk < numChunks) {
    await condition(allHandlersFinished);
    return carryOn<typeof similarItems>({ ...input, cursor: { ...cursor, nextChunk } });
  }
  tell(`Joining ${numChunks} chunks.`);
  const { artifact, reused, ...counts } = await neighbours.assembleSimilar({ index, config });
  await similarRecords.recordSimilar({ catalogue, index, similar: artifact });
  progress.status = reused ? 'reused' : 'done';
  tell(`${counts.numItems} items, ${counts.numGroups} groups of near-duplicates: \`${artifact}\`.`);
  upsertSearchAttributes([{ key: statusKey, value: progress.status }]);
  return { similar: artifact, generation, index, ...counts, reused };
}

async function plan({ catalogue, config }: SimilarItemsInput): Promise<NonNullable<SimilarItemsInput['cursor']>> {
  const { generation, index } = await similarRecords.servingIndex({ catalogue });
  const { similar, numChunks, numItems } = await neighbours.planSimilar({ index, config });
  // What is finished already has nothing left to find, only to be recorded.
  return { generation, index, numChunks, numItems, nextChunk: similar === null ? 0 : numChunks };
}
