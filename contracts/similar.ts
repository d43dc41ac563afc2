import type { SearchHit } from './serving.ts';

/** What a run of `similarItems` is asked for. */
export interface SimilarConfig {
  /** Neighbours kept for each item, after near-duplicates were taken together. */
  k: number;
  /** Only neighbours of the item's own category; items without one are compared with all. */
  withinCategory: boolean;
  /**
   * Items that score at least this against each other are near-duplicates; chains join. Absent: 0.98 under cosine, none under
   * other metrics. `null`: none.
   */
  nearDuplicateScore?: number | null;
  /** Compare with every vector, whatever the kind of the index. */
  exact: boolean;
  /** Items of one activity: the unit that is done again after a loss. */
  chunkItems: number;
}

/** Input of the workflow `similarItems`, on the generation that serves when it starts. */
export interface SimilarItemsInput {
  catalogue: string;
  config: SimilarConfig;
  /** Continue as new after this many chunks even if the server does not suggest it yet. */
  chunksPerRun?: number;
  /** Carried over continue-as-new; absent at the start. */
  cursor?: { generation: number; index: string; numChunks: number; numItems: number; nextChunk: number };
}
export interface SimilarItemsOutput {
  /** Artefact of kind `similarItems`. */
  similar: string;
  generation: number;
  index: string;
  numItems: number;
  /** Groups of two or more near-duplicates, and the items in them. */
  numGroups: number;
  numGrouped: number;
  /** True when it was found already made. */
  reused: boolean;
}

/** Summary of a `similarItems` artefact. */
export interface SimilarSummary {
  k: number;
  withinCategory: boolean;
  nearDuplicateScore: number | null;
  numItems: number;
  numGroups: number;
  numGrouped: number;
}

/** One item's list of at most `k`, best first, one of each group of near-duplicates and none of its own. */
export interface SimilarList {
  k: number;
  withinCategory: boolean;
  /** False when near-duplicates took places that the next neighbours, which were not looked for, would have. */
  isWhole: boolean;
  neighbours: { id: string; score: number }[];
  /** The other items of its own group, at most 100. */
  nearDuplicates: string[];
}

/** What the API answers for one item. */
export interface SimilarAnswer {
  hits: SearchHit[];
  nearDuplicates: Omit<SearchHit, 'score'>[];
  /** Found in advance by a batch, or searched for this request. */
  source: 'batch' | 'live';
  /** Only items of the item's own category were admitted. */
  withinCategory: boolean;
  generation: number;
  model: string;
  index: string;
}
