import type { RetrainConfig } from './training.ts';

/** What a schedule watches. One schedule of each kind per catalogue at most. */
export const SCHEDULE_TRIGGERS = ['cron', 'changes', 'drift'] as const;
export type ScheduleTrigger = (typeof SCHEDULE_TRIGGERS)[number];

/** When a schedule retrains. */
export type RetrainRule =
  /** Five fields, or @daily and the like; in the time zone, UTC unless named. */
  | { trigger: 'cron'; cron: string; timeZone?: string }
  /** As soon as this many items and examples were added, changed or removed since the newest generation's snapshot. */
  | { trigger: 'changes'; numChanges: number; checkEveryMs: number }
  /**
   * As soon as queries have moved away from the catalogue: the cosine of a query and its nearest item has fallen by this much on
   * average since the model that serves was new.
   */
  | { trigger: 'drift'; maxDrop: number; checkEveryMs: number };

export interface CheckRetrainInput {
  catalogue: string;
  rule: RetrainRule;
  /** What the retraining run is started with. */
  config: RetrainConfig;
  /** Id of the schedule: who ordered the run, in the records. */
  schedule: string;
}

export interface CheckRetrainOutput {
  outcome: 'started' | 'notDue' | 'alreadyRunning';
  /** In words. */
  reason: string;
  workflowId: string | null;
  runId: string | null;
}

/** How far the catalogue has moved on since the newest generation that was judged. */
export interface CatalogueChanges {
  /** Null while there is no such generation. */
  since: number | null;
  added: number;
  changed: number;
  removed: number;
}

/** How near sampled queries are to the catalogue: mean cosine to the nearest item. */
export interface QueryDrift {
  generation: number | null;
  /** Queries when the model was new, and the newest ones. */
  numReference: number;
  numRecent: number;
  /** Null without queries. */
  reference: number | null;
  recent: number | null;
  /** Of `reference - recent`; null where it cannot be told. */
  standardError: number | null;
}

/** A schedule as people see it. */
export interface RetrainSchedule {
  id: string;
  catalogue: string;
  rule: RetrainRule;
  recipe: string;
  paused: boolean;
  note: string | null;
  /** ISO 8601. */
  nextCheck: string | null;
  lastCheck: string | null;
  temporalUrl: string;
}
