import type { Artifact, Derivation } from '../../contracts/artifacts.ts';
import { labelOf } from '../../contracts/catalogue.ts';
import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { QueryOutcome } from '../../contracts/evaluation.ts';
import type { RetrievalQuality } from '../../contracts/training.ts';
import { splitSnapshot } from '../../lib/train/split.ts';
import type { LabelledPicture } from '../../lib/train/split.ts';
import { canonicalJson } from '../artifacts/canonical-json.ts';
import { sha256Hex } from '../artifacts/sha256.ts';
import type { Embedder } from '../inference/embedder.ts';
import { readSnapshotRows } from '../snapshot/read-snapshot.ts';
import type { Stores } from '../stores.ts';
import { featuresOf, loadCachedFeatures } from '../training/cached-features.ts';
import { isJudgeable, readableOf } from '../training/training-data.ts';
import { measureRetrieval } from './measure-retrieval.ts';
import type { MeasuredRetrieval } from './measure-retrieval.ts';

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

/** How each query fared, a QueryOutcome a line. */
export const QUERIES_FILE = 'queries.jsonl';

/**
 * Quality of a model on a snapshot's holdout, which no model learnt from: the same queries and catalogue for every model, so that
 * candidates compare. Published as an `evaluation` artefact whose metrics are a RetrievalQuality, of no queries where none tells
 * models apart; its file holds each query's outcome, and `summary.set` names the frozen set of queries and catalogue by its hash.
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
    config: { ks: [...EVALUATION_KS], outcomes: 1 },
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
  const rows = await readSnapshotRows(stores, snapshot);
  const split = readableOf(splitSnapshot(rows), cached.rowOf);
  const { catalogue } = split;
  const queries = isJudgeable(split) ? split.queries : [];
  const embed = (pictures: LabelledPicture[]): Promise<Float32Array> => {
    const images = pictures.map(({ image }) => image);
    return embedder.applyHead(model, featuresOf(cached, images, 1), images.length, signal);
  };
  const measure = async (): Promise<MeasuredRetrieval> =>
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
  const nothing: RetrievalQuality = { numQueries: 0, numCatalogue: catalogue.length, recall: {}, mAP: null };
  const { quality, firstRanks } = queries.length > 0 ? await measure() : { quality: nothing, firstRanks: [] };
  const categories = categoriesOf(rows);
  const outcomes = queries.map(({ image, label }, i): QueryOutcome => {
    return { image, label, category: categories.get(label) ?? null, rank: firstRanks[i] || null };
  });
  const artifact = await stores.artifacts.publish({
    ...derivation,
    summary: { set: sha256Hex(canonicalJson({ queries, catalogue })) },
    metrics: { ...quality },
    files: { [QUERIES_FILE]: { bytes: Buffer.from(outcomes.map((line) => `${JSON.stringify(line)}\n`).join('')) } },
  });
  return { artifact, reused: false };
}

/** The category that the first item with each label has. */
function categoriesOf(rows: readonly SnapshotRow[]): Map<string, string> {
  const categories = new Map<string, string>();
  for (const row of rows) {
    const label = row.role === 'item' ? labelOf(row) : null;
    if (row.role !== 'item' || label === null || row.category === null || categories.has(label)) continue;
    categories.set(label, row.category);
  }
  return categories;
}
