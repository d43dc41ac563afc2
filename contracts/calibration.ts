/**
 * What scores of one generation mean: the probability that query and hit show the same product (have the same label), fitted when its index
 * was built. As much as the pairs it was fitted to are like the queries to come.
 */
export interface Calibration {
  /** Ascending in both; straight between them, level beyond. */
  knots: [score: number, probability: number][];
  /** `holdout`: pictures that no model learnt from ask, as people will; `items`: the catalogue's own, which may have been learnt from. */
  from: 'holdout' | 'items';
  numQueries: number;
  /** Pairs of a query and one of its nearest items. */
  numPairs: number;
  /** Mean distance of probability and truth on the half of the queries that a map was not fitted to, 0..1; null: too few to tell. */
  error: number | null;
}

/** Of a generation; the reason where there is none. */
export type CalibrationResult = { calibration: Calibration } | { calibration: null; reason: string };
