import type { LabelledPicture, Split } from './split.ts';

/** Whether the queries tell models apart: among items of one label every answer is as right as any other. */
export function isJudgeable({ queries, catalogue }: Pick<Split, 'queries' | 'catalogue'>): boolean {
  return queries.length > 0 && numLabelsOf(catalogue) >= 2;
}

export function numLabelsOf(pictures: readonly LabelledPicture[]): number {
  return new Set(pictures.map(({ label }) => label)).size;
}
