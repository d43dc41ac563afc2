import { LookalikeError } from '../../contracts/errors.ts';
import type { LabelledPicture, Split } from '../../lib/train/split.ts';
import type { TrainingData } from '../../lib/train/train-head.ts';
import { featuresOf } from './cached-features.ts';
import type { CachedFeatures } from './cached-features.ts';

const NOTHING_TO_ASK =
  'Expected pictures to judge a model by, got none: there are no holdout examples of other pictures than those learnt from, and no ' +
  'label with two different pictures, one of which could be held back. Import examples whose right answer is known ' +
  '(lookalike catalogue import FILE --as holdout), or give several items the same label.';

/**
 * What a run learns from and is judged by. Pictures without features (they could not be decoded) take no part.
 * @throws LookalikeError `invalidInput` when there is nothing to tell apart, or nothing to judge the result by
 */
export function trainingDataOf(split: Split, cached: CachedFeatures, isJudged: boolean): TrainingData {
  const usable = (pictures: LabelledPicture[]): LabelledPicture[] =>
    pictures.filter(({ image }) => cached.rowOf.has(image));
  const [train, queries, catalogue] = [usable(split.train), usable(split.queries), usable(split.catalogue)];
  if (isJudged) expectLearnable({ train, queries, catalogue });
  const labels = [...new Set(train.map(({ label }) => label))].sort();
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

/**
 * Whether a snapshot can be learnt from and the result judged: known from its rows alone, before anything is computed.
 * @throws LookalikeError `invalidInput` saying what to import
 */
export function expectLearnable({ train, queries, catalogue }: Omit<Split, 'withheld'>): void {
  const numLabels = new Set(train.map(({ label }) => label)).size;
  if (numLabels < 2) {
    throw new LookalikeError(
      'invalidInput',
      `Expected pictures of at least 2 labels to learn from, got ${numLabels}. Give items a category or a label.`,
    );
  }
  if (queries.length === 0 || catalogue.length === 0) {
    throw new LookalikeError('invalidInput', NOTHING_TO_ASK);
  }
}
