import type { Artifact } from '../contracts/artifacts.ts';
import type { RetrievalQuality } from '../contracts/training.ts';
import { applyHead } from '../infra/embeddings/apply-head.ts';
import { embedChunk } from '../infra/embeddings/embed-chunk.ts';
import type { Embedder } from '../infra/inference/embedder.ts';
import type { Stores } from '../infra/stores.ts';
import { beating } from './heartbeat.ts';
import type { EmbedActivities } from './interfaces.ts';
import { watchPublishing } from './reused.ts';

export interface EmbedDeps {
  stores: Stores;
  embedder: Embedder;
  /** Measures a model on the snapshot's queries; the artefact's metrics are a RetrievalQuality. */
  evaluate: (options: {
    stores: Stores;
    embedder: Embedder;
    snapshot: string;
    features: string;
    model: string;
    signal: AbortSignal;
  }) => Promise<{ artifact: Artifact; reused: boolean }>;
}

/** Everything that runs a model. */
export function createEmbedActivities({ stores, embedder, evaluate }: EmbedDeps): EmbedActivities {
  return {
    embedChunk: (input) =>
      beating(async ({ signal }) => {
        const watched = watchPublishing(stores);
        const { manifest } = await embedChunk({ stores: watched.stores, embedder, ...input, signal });
        const { numImages, numRejected } = manifest.summary;
        // A chunk that was found made was still not there for the plan: it counts as embedded by this run.
        return { numEmbedded: Number(numImages), numRejected: Number(numRejected) };
      }),

    applyHead: (input) =>
      beating(async ({ signal }) => {
        const watched = watchPublishing(stores);
        const made = await applyHead({ stores: watched.stores, embedder, ...input, signal });
        const { numImages, numRejected } = made.manifest.summary;
        return {
          artifact: made.id,
          reused: watched.reused(),
          numImages: Number(numImages),
          numRejected: Number(numRejected),
        };
      }),

    evaluateModel: (input) =>
      beating(async ({ signal }) => {
        const { artifact, reused } = await evaluate({ stores, embedder, ...input, signal });
        const quality = artifact.manifest.metrics as unknown as RetrievalQuality;
        return { artifact: artifact.id, reused, quality };
      }),
  };
}
