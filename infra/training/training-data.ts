import type { LabelledPicture, Split } from '../../lib/train/split.ts';
import type { TrainingData } from '../../lib/train/head-program.ts';
import { featuresOf } from './cached-features.ts';
import type { CachedFeatures } from './cached-features.ts';

/** The part of a split whose pictures can be read. */
export function readableOf(split: Split, readable: Pick<ReadonlySet<string>, 'has'>): Split {
  const only = (pictures: LabelledPicture[]): LabelledPicture[] => pictures.filter(({ image }) => readable.has(image));
  const { train, queries, catalogue, withheld } = split;
  return { train: only(train), queries: only(queries), catalogue: only(catalogue), withheld: only(withheld) };
}

/**
 * Why a model cannot learn from these pictures, or not be judged, and what to give for it; null when it can. Known from a
 * snapshot's rows alone, before anything is computed; known for sure once it is clear which of its pictures can be read.
 */
export function whyUntrained({ train, queries, catalogue }: Omit<Split, 'withheld'>): string | null {
  const numLabels = Math.min(numLabelsOf(train), numLabelsOf(catalogue));
  if (numLabels < 2) {
    return `Learning needs items with readable pictures of at least 2 labels, got ${numLabels}. Give items a category or a label.`;
  }
  return isJudgeable({ queries, catalogue }) ? null : NOTHING_TO_JUDGE_BY;
}

const NOTHING_TO_JUDGE_BY =
  'Nothing could judge a trained model: there are no readable holdout examples of other pictures than those learnt from, and no ' +
  'label with two different pictures, one of which could be held back. Import examples whose right answer is known ' +
  '(lookalike catalogue import FILE --as holdout), or give several items the same label.';

/** Whether the queries tell models apart: among items of one label every answer is as right as any other. */
export function isJudgeable({ queries, catalogue }: Pick<Split, 'queries' | 'catalogue'>): boolean {
  return queries.length > 0 && numLabelsOf(catalogue) >= 2;
}

/** What a run learns from and is judged by. All pictures of the split have features. */
export function trainingDataOf({ train, queries, catalogue }: Split, cached: CachedFeatures): TrainingData {
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

export function numLabelsOf(pictures: LabelledPicture[]): number {
  return new Set(pictures.map(({ label }) => label)).size;
}
