import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { splitSnapshot } from '../../lib/train/split.ts';
import type { LabelledPicture } from '../../lib/train/split.ts';
import type { TrainingData } from '../../lib/train/train-head.ts';
import { featuresOf } from './cached-features.ts';
import type { CachedFeatures } from './cached-features.ts';

/**
 * What a run learns from and is judged by. Pictures without features (they could not be decoded) take no part.
 * @throws LookalikeError `invalidInput` when there is nothing to tell apart
 */
export function trainingDataOf(rows: readonly SnapshotRow[], cached: CachedFeatures): TrainingData {
  const split = splitSnapshot(rows);
  const usable = (pictures: LabelledPicture[]): LabelledPicture[] =>
    pictures.filter(({ image }) => cached.rowOf.has(image));
  const [train, queries, catalogue] = [usable(split.train), usable(split.queries), usable(split.catalogue)];
  const labels = [...new Set(train.map(({ label }) => label))].sort();
  if (labels.length < 2) {
    throw new LookalikeError(
      'invalidInput',
      `Expected pictures of at least 2 labels to learn from, got ${labels.length}. Give items a category or a label.`,
    );
  }
  const indexOf = new Map(labels.map((label, index) => [label, index]));
  const plain = (pictures: LabelledPicture[]): Float32Array =>
    featuresOf(
      cached,
      pictures.map(({ image }) => image),
      1,
    );
  return {
    featureDim: cached.dim,
    views: cached.views,
    features: featuresOf(
      cached,
      train.map(({ image }) => image),
      cached.views,
    ),
    labels: Int32Array.from(train, ({ label }) => indexOf.get(label)!),
    numLabels: labels.length,
    queries: plain(queries),
    queryLabels: queries.map(({ label }) => label),
    catalogue: plain(catalogue),
    catalogueLabels: catalogue.map(({ label }) => label),
  };
}
