import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ArtifactStore, Derivation } from '../../contracts/artifacts.ts';
import { formatList, listHash, parseList, snapshotImages } from './image-list.ts';
import type { ImageList } from './image-list.ts';
import { embeddingsDerivation } from './publish-embeddings.ts';
import { openEmbeddings } from './read-embeddings.ts';

/** Pictures per chunk: seconds of work, so that a lost worker repeats little and the overhead of a step stays small. */
export const CHUNK_SIZE = 64;

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

/** Which pictures of a snapshot a model has still to embed: those that its newest earlier embeddings lack. */
export async function planEmbedding(
  stores: { artifacts: ArtifactStore },
  { snapshot, model, views }: { snapshot: string; model: string; views: number },
): Promise<EmbeddingPlanned> {
  const images = await snapshotImages(stores, snapshot);
  const finished = await stores.artifacts.find(
    embeddingsDerivation('embeddings', { model, views, images: listHash(images) }),
  );
  const previous = finished?.id ?? (await newestEmbeddings(stores, model, views));
  const { todo, numRejected } = await missingFrom(stores, previous, images);
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

async function newestEmbeddings(
  stores: { artifacts: ArtifactStore },
  model: string,
  views: number,
): Promise<string | undefined> {
  const all = await stores.artifacts.list('embeddings');
  return all.find(({ manifest }) => manifest.inputs.model === model && manifest.config.views === views)?.id;
}

async function missingFrom(
  stores: { artifacts: ArtifactStore },
  previous: string | undefined,
  images: ImageList,
): Promise<{ todo: string[]; numRejected: number }> {
  if (previous === undefined) return { todo: [...images], numRejected: 0 };
  await using known = await openEmbeddings(stores, previous);
  const embedded = new Set(known.images);
  const rejected = new Set(known.rejected.map(({ image }) => image));
  return {
    todo: images.filter((image) => !embedded.has(image) && !rejected.has(image)),
    numRejected: images.filter((image) => rejected.has(image)).length,
  };
}
