import type { Artifact, ArtifactStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Embedder } from '../inference/embedder.ts';
import { listHash, snapshotImages } from './image-list.ts';
import { embeddingsDerivation, publishEmbeddings } from './publish-embeddings.ts';
import { openEmbeddings } from './read-embeddings.ts';

/** Pictures per block: a few megabytes of features. */
const BLOCK = 512;

/**
 * Embeddings of a snapshot by a head over its backbone's cached features (view 0). The same artefact as embedding the pictures
 * themselves would give. @throws LookalikeError `invalidInput` when the features lack pictures of the snapshot
 */
export async function applyHead(options: {
  stores: { artifacts: ArtifactStore };
  embedder: Embedder;
  snapshot: string;
  features: string;
  model: string;
  signal: AbortSignal;
}): Promise<Artifact> {
  const { stores, embedder, snapshot, model, signal } = options;
  const wanted = await snapshotImages(stores, snapshot);
  const derivation = embeddingsDerivation('embeddings', { model, views: 1, images: listHash(wanted) });
  const made = await stores.artifacts.find(derivation);
  if (made !== undefined) return made;

  await using features = await openEmbeddings(stores, options.features);
  const { dim: featureDim } = features;
  const asked = new Set(wanted);
  const rows = [...features.images.keys()].filter((row) => asked.has(features.images[row]!));
  const rejected = features.rejected.filter(({ image }) => asked.has(image));
  if (rows.length + rejected.length !== wanted.length) {
    throw new LookalikeError(
      'invalidInput',
      `Expected ${features.id} to cover the ${wanted.length} pictures of ${snapshot}, got ${rows.length + rejected.length}.`,
    );
  }
  const { dim } = await embedder.modelSummary(model);

  async function* embedded(): AsyncGenerator<Float32Array> {
    for (let start = 0; start < rows.length; start += BLOCK) {
      const block = rows.slice(start, start + BLOCK);
      const plain = new Float32Array(block.length * featureDim);
      for (const [i, row] of block.entries()) {
        const all = await features.read(row, 1);
        plain.set(all.subarray(0, featureDim), i * featureDim);
      }
      yield await embedder.applyHead(model, plain, block.length, signal);
    }
  }
  // Awaited here: the features must stay open until the last row was read.
  return await publishEmbeddings(stores, {
    derivation,
    views: 1,
    dim,
    normalised: true,
    images: rows.map((row) => features.images[row]!),
    rejected,
    vectors: embedded(),
  });
}
