import { isJudgeable, numLabelsOf } from '../../lib/train/judgeable.ts';
import type { LabelledPicture, Split } from '../../lib/train/split.ts';
import type { TrainingData } from '../../lib/train/head-program.ts';
import { augmentedFeaturesOf, featuresOf } from './cached-features.ts';
import type { CachedFeatures } from './cached-features.ts';

/** The part of a split whose pictures can be read. */
export function readableOf(split: Split, readable: Pick<ReadonlySet<string>, 'has'>): Split {
  const only = (pictures: LabelledPicture[]): LabelledPicture[] => pictures.filter(({ image }) => readable.has(image));
  const { train, queries, catalogue, withheld } = split;
  return {
    ...split,
    ...{ train: only(train), queries: only(queries), catalogue: only(catalogue), withheld: only(withheld) },
  };
}

/**
 * Why a model cannot learn from these pictures, or not be judged, and what to give for it; null when it can. Known from a
 * snapshot's rows alone, before anything is computed; known for sure once it is clear which of its pictures can be read.
 */
export function whyUntrained({ train, queries, catalogue, asks }: Omit<Split, 'withheld'>): string | null {
  const numLabels = Math.min(numLabelsOf(train), numLabelsOf(catalogue));
  if (asks === 'augmented') {
    return numLabels >= 2 && queries.length > 0
      ? null
      : `Learning without labels needs at least 2 readable pictures and another one to judge by, got ${numLabels + queries.length}.`;
  }
  if (numLabels < 2) {
    return `Learning needs items with readable pictures of at least 2 labels, got ${numLabels}. Give items a category or a label.`;
  }
  return isJudgeable({ queries, catalogue }) ? null : NOTHING_TO_JUDGE_BY;
}

const NOTHING_TO_JUDGE_BY =
  'Nothing could judge a trained model: there are no readable holdout examples of other pictures than those learnt from, and no ' +
  'label with two different pictures, one of which could be held back. Import examples whose right answer is known ' +
  '(lookalike catalogue import FILE --as holdout), or give several items the same label.';

export { isJudgeable, numLabelsOf };

/** The queries of a split as vectors, [queryLabels.length, dim]: of pictures that are asked in all augmented views, one after another. */
export function queriesOf(
  { queries, asks }: Pick<Split, 'queries' | 'asks'>,
  cached: CachedFeatures,
): { vectors: Float32Array; pictures: LabelledPicture[] } {
  const images = queries.map(({ image }) => image);
  if (asks !== 'augmented') return { vectors: featuresOf(cached, images, 1), pictures: queries };
  const pictures = queries.flatMap((picture) => Array.from({ length: cached.views - 1 }, () => picture));
  return { vectors: augmentedFeaturesOf(cached, images), pictures };
}

/** What a run learns from and is judged by. All pictures of the split have features. */
export function trainingDataOf(split: Split, cached: CachedFeatures): TrainingData {
  const { train, catalogue } = split;
  const asked = queriesOf(split, cached);
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
    ...labelsOf(train),
    queries: asked.vectors,
    queryLabels: asked.pictures.map(({ label }) => label),
    catalogue: plain(catalogue),
    catalogueLabels: catalogue.map(({ label }) => label),
  };
}

/** Labels by number, in the order of their names: the same wherever they are counted. */
export function labelsOf(train: LabelledPicture[]): { labels: Int32Array; numLabels: number } {
  const names = [...new Set(train.map(({ label }) => label))].sort();
  const indexOf = new Map(names.map((label, index) => [label, index]));
  return { labels: Int32Array.from(train, ({ label }) => indexOf.get(label)!), numLabels: names.length };
}
