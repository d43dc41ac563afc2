/** How one query of an evaluation fared: a line of its `queries.jsonl`, in the order of the evaluation set. */
export interface QueryOutcome {
  /** SHA-256 of the picture. */
  image: string;
  label: string;
  /** Of the items with this label; null where they have none. */
  category: string | null;
  /** 1-based rank of the first item with the label; null when the catalogue holds none. */
  rank: number | null;
}

/** Two models' recall@1 on the same queries, paired. */
export interface PairedRecall {
  numQueries: number;
  /** recall@1. */
  candidate: number;
  yardstick: number;
  /** Queries that only the candidate answers right. */
  won: number;
  /** Queries that only the yardstick answers right. */
  lost: number;
  /** Chance that a candidate as good as the yardstick loses this many or more of won + lost queries (exact sign test). */
  pWorse: number;
  /** 95% interval of candidate minus yardstick. */
  interval: [number, number];
}

export interface CategoryRecall extends PairedRecall {
  category: string;
  /** `pWorse` corrected for the number of categories tested (Holm). */
  adjusted: number;
}

/** A candidate against one other model. */
export interface ModelComparison extends PairedRecall {
  /** Categories with enough queries to be tested. */
  numCategories: number;
  /** The tested categories, the surest loss first. */
  categories: CategoryRecall[];
}

/** What the gate is told: workflows carry no more of the categories than people read. */
export const MAX_CATEGORIES_TOLD = 20;

/** The candidate of a run against the others, on one frozen evaluation set. */
export interface GateComparison {
  /** The `comparison` artefact: all categories are there. */
  artifact: string;
  reused: boolean;
  /** SHA-256 of the evaluation set's queries, catalogue and labels: equal for all models compared. */
  evaluationSet: string;
  pretrained: ModelComparison;
  serving: ModelComparison | null;
}
