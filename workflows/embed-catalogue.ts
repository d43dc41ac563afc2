import {
  allHandlersFinished,
  condition,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { EmbedCatalogueInput, EmbedCatalogueOutput, RetrainProgress } from '../contracts/workflows.ts';
import { building, catalogue, embedding } from './activity-options.ts';
import { runChild } from './children.ts';
import { modelKey, progressQuery, statusKey } from './messages.ts';
import { carryOn, isRunLong } from './continuation.ts';
import { slidingWindow } from './sliding-window.ts';

/** Chunks in flight: enough for several embed workers, few enough that a worker's loss repeats little. */
const WINDOW = 8;

/**
 * One vector (or several views) per distinct picture of a snapshot. Pictures that an earlier artefact of the same model holds
 * are taken over; the rest is embedded in chunks, each a durable artefact, so that nothing finished is done twice. A head over a
 * frozen backbone is applied to the backbone's cached features instead. History is bounded by the cursor: the run continues as
 * new when the server suggests it, after the chunks in flight. On cancel finished chunks stay for the next run.
 */
export async function embedCatalogue(input: EmbedCatalogueInput): Promise<EmbedCatalogueOutput> {
  const progress: RetrainProgress['steps'][number] = { name: 'embed', status: 'running', detail: 'Planning.' };
  setHandler(progressQuery, () => ({ steps: [progress] }));
  const tell = (detail: string): void => {
    progress.detail = detail;
    setCurrentDetails(detail);
  };
  upsertSearchAttributes([{ key: modelKey, value: input.model }]);

  const output = input.cursor === undefined ? await start(input, tell) : await embedChunks(input, input.cursor, tell);
  progress.status = output.reused ? 'reused' : 'done';
  tell(
    `${output.numEmbedded} pictures embedded, ${output.numReused} reused, ${output.numRejected} rejected: ` +
      `\`${output.embeddings}\`.`,
  );
  upsertSearchAttributes([{ key: statusKey, value: progress.status }]);
  return output;
}

async function start(input: EmbedCatalogueInput, tell: (detail: string) => void): Promise<EmbedCatalogueOutput> {
  const { snapshot, model, views } = input;
  const { backbone } = await catalogue.describeModel({ model });
  if (backbone !== null && backbone !== model) return applyHead(input, backbone, tell);
  const plan = await building.planEmbedding({ snapshot, model, views });
  const counts = { reused: plan.numReused, rejected: plan.numRejected };
  if (plan.embeddings !== null) {
    return {
      embeddings: plan.embeddings,
      numEmbedded: 0,
      numReused: counts.reused,
      numRejected: counts.rejected,
      reused: true,
    };
  }
  return embedChunks(input, { plan: plan.plan, numChunks: plan.numChunks, nextChunk: 0, embedded: 0, ...counts }, tell);
}

async function embedChunks(
  input: EmbedCatalogueInput,
  from: NonNullable<EmbedCatalogueInput['cursor']>,
  tell: (detail: string) => void,
): Promise<EmbedCatalogueOutput> {
  const { model, views, chunksPerRun } = input;
  const cursor = { ...from };
  const pauseAt = chunksPerRun === undefined ? Infinity : from.nextChunk + chunksPerRun;
  let started = from.nextChunk;
  let finished = from.nextChunk;
  tell(`${finished} of ${cursor.numChunks} chunks.`);
  cursor.nextChunk = await slidingWindow(
    {
      next: from.nextChunk,
      last: cursor.numChunks,
      width: WINDOW,
      pause: () => started >= pauseAt || isRunLong(),
    },
    async (chunk) => {
      started += 1;
      const done = await embedding.embedChunk({ plan: cursor.plan, chunk, model, views });
      cursor.embedded += done.numEmbedded;
      cursor.rejected += done.numRejected;
      finished += 1;
      tell(`${finished} of ${cursor.numChunks} chunks, ${cursor.embedded} pictures embedded.`);
    },
  );
  if (cursor.nextChunk < cursor.numChunks) {
    await condition(allHandlersFinished);
    return carryOn<typeof embedCatalogue>({ ...input, cursor });
  }
  tell(`Assembling ${cursor.numChunks} chunks.`);
  const assembled = await building.assembleEmbeddings({ plan: cursor.plan, model, views });
  return {
    embeddings: assembled.artifact,
    numEmbedded: cursor.embedded,
    numReused: cursor.reused,
    numRejected: assembled.numRejected,
    reused: assembled.reused,
  };
}

async function applyHead(
  input: EmbedCatalogueInput,
  backbone: string,
  tell: (detail: string) => void,
): Promise<EmbedCatalogueOutput> {
  const { catalogue: name, snapshot, model } = input;
  const cached = input.features ?? (await backboneFeatures(name, snapshot, backbone));
  tell('Applying the head to the cached features.');
  const made = await embedding.applyHead({ snapshot, features: cached, model });
  return {
    embeddings: made.artifact,
    numEmbedded: made.reused ? 0 : made.numImages,
    numReused: made.reused ? made.numImages : 0,
    numRejected: made.numRejected,
    reused: made.reused,
  };
}

async function backboneFeatures(name: string, snapshot: string, backbone: string): Promise<string> {
  const input: EmbedCatalogueInput = { catalogue: name, snapshot, model: backbone, views: 1 };
  const made = await runChild(embedCatalogue, 'features', name, input, `Features of ${snapshot} by ${backbone}`);
  return made.embeddings;
}
