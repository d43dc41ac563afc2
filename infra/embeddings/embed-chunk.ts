import type { Artifact, ArtifactStore, BlobStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Embedder } from '../inference/embedder.ts';
import { listHash } from './image-list.ts';
import { readPlan } from './plan-embedding.ts';
import { embeddingsDerivation, publishEmbeddings } from './publish-embeddings.ts';
import type { RejectedImage } from './read-embeddings.ts';

/** Embeds one chunk of a plan, unless that chunk was already embedded, also for another plan. */
export async function embedChunk(options: {
  stores: { artifacts: ArtifactStore; blobs: BlobStore };
  embedder: Embedder;
  plan: string;
  chunk: number;
  model: string;
  views: number;
  signal: AbortSignal;
}): Promise<Artifact> {
  const { stores, embedder, plan, chunk, model, views, signal } = options;
  const asked = (await readPlan(stores, plan)).chunks[chunk];
  if (asked === undefined)
    throw new LookalikeError('invalidInput', `Expected a chunk of ${plan}, got number ${chunk}.`);
  const derivation = embeddingsDerivation('embeddingChunk', { model, views, images: listHash(asked) });
  const made = await stores.artifacts.find(derivation);
  if (made !== undefined) return made;

  const { dim, stage } = await embedder.modelSummary(model);
  const pictures = await Promise.all(asked.map((image) => stores.blobs.get(image)));
  const results = await embedder.embed(model, pictures, { priority: 'batch', views, signal });
  const images: string[] = [];
  const blocks: Float32Array[] = [];
  const rejected: RejectedImage[] = [];
  for (const [i, image] of asked.entries()) {
    const result = results[i];
    if (result === undefined) throw new Error(`Expected ${asked.length} results, got ${results.length}.`);
    if ('rejected' in result) rejected.push({ image, reason: result.rejected });
    else {
      images.push(image);
      blocks.push(...result.vectors);
    }
  }
  return publishEmbeddings(stores, {
    derivation,
    views,
    dim,
    normalised: stage === 'embedding',
    images,
    rejected,
    vectors: blocks,
  });
}
