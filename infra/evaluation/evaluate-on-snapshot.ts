import type { Artifact, Derivation } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { RetrievalQuality } from '../../contracts/training.ts';
import { splitSnapshot } from '../../lib/train/split.ts';
import type { LabelledPicture } from '../../lib/train/split.ts';
import type { Embedder } from '../inference/embedder.ts';
import { readSnapshotRows } from '../snapshot/read-snapshot.ts';
import type { Stores } from '../stores.ts';
import { featuresOf, loadCachedFeatures } from '../training/cached-features.ts';
import { isJudgeable, readableOf } from '../training/training-data.ts';
import { measureRetrieval } from './measure-retrieval.ts';

/** The k of recall@k that every evaluation states. */
export const EVALUATION_KS = [1, 5, 10] as const;

export interface EvaluateOnSnapshotOptions {
  stores: Pick<Stores, 'artifacts'>;
  embedder: Pick<Embedder, 'applyHead' | 'modelSummary'>;
  snapshot: string;
  /** Embeddings artefact of the model's backbone: view 0 goes through the model's head. */
  features: string;
  model: string;
  signal?: AbortSignal;
}

/**
 * Quality of a model on a snapshot's holdout, which no model learnt from: the same queries and catalogue for every model, so that
 * candidates compare. Published as an `evaluation` artefact whose metrics are a RetrievalQuality; of no queries where none tells
 * models apart.
 * @throws LookalikeError `cancelled` | `invalidInput` when the model reads other features
 */
export async function evaluateOnSnapshot(
  options: EvaluateOnSnapshotOptions,
): Promise<{ artifact: Artifact; reused: boolean }> {
  const { stores, embedder, snapshot, features, signal } = options;
  // A model that learnt from the withheld items too is judged by the one that did not.
  const model = (await stores.artifacts.get(options.model)).manifest.inputs['judged'] ?? options.model;
  const derivation: Derivation = {
    kind: 'evaluation',
    inputs: { snapshot, features, model },
    config: { ks: [...EVALUATION_KS] },
    seed: null,
  };
  const found = await stores.artifacts.find(derivation);
  if (found !== undefined) return { artifact: found, reused: true };
  const { dim, featureDim } = await embedder.modelSummary(model);
  const cached = await loadCachedFeatures(stores.artifacts, features);
  if (cached.dim !== featureDim) {
    throw new LookalikeError(
      'invalidInput',
      `Expected features of ${featureDim} values for ${model}, got ${cached.dim}.`,
    );
  }
  const split = readableOf(splitSnapshot(await readSnapshotRows(stores, snapshot)), cached.rowOf);
  const { catalogue } = split;
  const queries = isJudgeable(split) ? split.queries : [];
  const embed = (pictures: LabelledPicture[]): Promise<Float32Array> => {
    const images = pictures.map(({ image }) => image);
    return embedder.applyHead(model, featuresOf(cached, images, 1), images.length, signal);
  };
  const measure = async (): Promise<RetrievalQuality> =>
    measureRetrieval(
      {
        dim,
        queries: await embed(queries),
        queryLabels: queries.map(({ label }) => label),
        catalogue: await embed(catalogue),
        catalogueLabels: catalogue.map(({ label }) => label),
        ks: EVALUATION_KS,
      },
      signal,
    );
  const quality: RetrievalQuality =
    queries.length > 0 ? await measure() : { numQueries: 0, numCatalogue: catalogue.length, recall: {}, mAP: null };
  const artifact = await stores.artifacts.publish({ ...derivation, summary: {}, metrics: { ...quality }, files: {} });
  return { artifact, reused: false };
}
