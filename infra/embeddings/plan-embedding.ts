import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Artifact, ArtifactStore, Derivation } from '../../contracts/artifacts.ts';
import { formatList, listHash, parseList, snapshotImages } from './image-list.ts';
import type { ImageList } from './image-list.ts';
import { embeddingsDerivation } from './publish-embeddings.ts';
import type { RejectedImage } from './read-embeddings.ts';

/** Pictures per chunk: seconds of work, so that a lost worker repeats little and the overhead of a step stays small. */
export const CHUNK_SIZE = 64;
/** Earlier artefacts looked into: their lists are read in full, and older ones cover ever less of a catalogue that lives. */
const MAX_CANDIDATES = 20;

export interface EmbeddingPlanned {
  plan: string;
  /** The finished artefact, if it is already made. */
  embeddings: string | null;
  numChunks: number;
  numImages: number;
  /** Pictures whose vectors an earlier artefact holds. */
  numReused: number;
  /** Of those, the ones known to be unusable. */
  numRejected: number;
}

/**
 * Which pictures of a snapshot a model has still to embed: those that the best of its earlier embeddings lacks. Catalogues share
 * models, so that is the one that covers most of this snapshot, whichever catalogue it was made for.
 */
export async function planEmbedding(
  stores: { artifacts: ArtifactStore },
  { snapshot, model, views }: { snapshot: string; model: string; views: number },
): Promise<EmbeddingPlanned> {
  const images = await snapshotImages(stores, snapshot);
  const finished = await stores.artifacts.find(
    embeddingsDerivation('embeddings', { model, views, images: listHash(images) }),
  );
  const { previous, todo, numRejected } = await bestCover(
    stores,
    finished ? [finished] : await candidates(stores, model, views),
    images,
  );
  const derivation: Derivation = {
    kind: 'embeddingPlan',
    inputs: { model, ...(previous !== undefined && { previous }) },
    config: { views, images: listHash(images), chunkSize: CHUNK_SIZE },
    seed: null,
  };
  const numChunks = Math.ceil(todo.length / CHUNK_SIZE);
  const plan =
    (await stores.artifacts.find(derivation)) ??
    (await stores.artifacts.publish({
      ...derivation,
      summary: { numImages: images.length, numTodo: todo.length, numChunks, previous: previous ?? null },
      metrics: {},
      files: { 'images.txt': { bytes: formatList(images) }, 'todo.txt': { bytes: formatList(todo) } },
    }));
  return {
    plan: plan.id,
    embeddings: finished?.id ?? null,
    numChunks,
    numImages: images.length,
    numReused: images.length - todo.length - numRejected,
    numRejected,
  };
}

const PlanSummary = z.object({ numChunks: z.number().int(), previous: z.string().nullable() });

/** A stored plan: all pictures, the missing ones by chunk, and where the others' vectors are. */
export async function readPlan(
  stores: { artifacts: ArtifactStore },
  plan: string,
): Promise<{ images: ImageList; chunks: ImageList[]; previous: string | null }> {
  const { manifest } = await stores.artifacts.get(plan);
  const { numChunks, previous } = PlanSummary.parse(manifest.summary);
  const lists = ['images.txt', 'todo.txt'].map(async (file) =>
    parseList(await readFile(await stores.artifacts.materialise(plan, file), 'utf8')),
  );
  const [images = [], todo = []] = await Promise.all(lists);
  const chunks = Array.from({ length: numChunks }, (_, i) => todo.slice(i * CHUNK_SIZE, (i + 1) * CHUNK_SIZE));
  return { images, chunks, previous };
}

/** Newest first; those with more views hold the fewer views first in each picture's rows. */
async function candidates(
  stores: { artifacts: ArtifactStore },
  model: string,
  views: number,
): Promise<readonly Artifact[]> {
  const all = await stores.artifacts.list('embeddings');
  return all
    .filter(({ manifest }) => manifest.inputs.model === model && Number(manifest.config.views) >= views)
    .slice(0, MAX_CANDIDATES);
}

interface Cover {
  previous: string | undefined;
  todo: string[];
  numRejected: number;
}

/** The artefact that leaves least to do; of equals the first. */
async function bestCover(
  stores: { artifacts: ArtifactStore },
  artifacts: readonly Artifact[],
  images: ImageList,
): Promise<Cover> {
  let best: Cover = { previous: undefined, todo: [...images], numRejected: 0 };
  for (const { id } of artifacts) {
    // The lists alone: vectors are large, and only the best one's are needed.
    const lists = ['images.txt', 'rejected.jsonl'].map(async (file) =>
      parseList(await readFile(await stores.artifacts.materialise(id, file), 'utf8')),
    );
    const [embedded = [], refused = []] = await Promise.all(lists);
    const rejected = new Set(refused.map((line) => (JSON.parse(line) as RejectedImage).image));
    const known = new Set([...embedded, ...rejected]);
    const todo = images.filter((image) => !known.has(image));
    if (best.previous !== undefined && todo.length >= best.todo.length) continue;
    best = { previous: id, todo, numRejected: images.filter((image) => rejected.has(image)).length };
    if (todo.length === 0) break;
  }
  return best;
}
