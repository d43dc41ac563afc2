import type { VariantQuality } from '../../contracts/model.ts';

/** What deciding about a variant takes. */
export type StandInMeasures = Pick<VariantQuality, 'numQueries' | 'recallAt1' | 'maxRecallDrop'>;

/** Recall is a share of a few hundred queries: what is left after the last bit of a sum is no loss. */
const ROUNDING = 1e-9;

/**
 * Whether a variant may stand in for its model: recall@1 may drop by at most `maxRecallDrop`, for both sides by the variant and
 * for queries alone. What nothing measured may not.
 */
export function decideStandIn({
  numQueries,
  recallAt1,
  maxRecallDrop,
}: StandInMeasures): Pick<VariantQuality, 'mayServe' | 'mayQuery' | 'reasons'> {
  if (recallAt1 === null || numQueries === 0) {
    const reason = 'No query with a known answer measures it: the catalogue has no labels to hold any back.';
    return { mayServe: false, mayQuery: false, reasons: [reason] };
  }
  const least = recallAt1.model - maxRecallDrop - ROUNDING;
  const reasons: string[] = [];
  const check = (what: string, recall: number): boolean => {
    const isEnough = recall >= least;
    if (!isEnough) {
      reasons.push(
        `Expected recall@1 of at least ${round(recallAt1.model - maxRecallDrop)} (its model's ${round(recallAt1.model)} minus ${maxRecallDrop}) with ${what} by the variant, got ${round(recall)} on ${numQueries} queries.`,
      );
    }
    return isEnough;
  };
  const mayServe = check('catalogue and queries', recallAt1.variant);
  const mayQuery = check('queries', recallAt1.variantQueries);
  return { mayServe, mayQuery, reasons };
}

function round(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
