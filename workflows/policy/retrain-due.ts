import type { CatalogueChanges, QueryDrift, RetrainRule } from '../../contracts/schedules.ts';

/** Fewer queries than this, then or now, and a mean says more about them than about the traffic. */
export const MIN_DRIFT_QUERIES = 50;

/** A drop must be this many standard errors above zero: noise reaches that once in twenty checks. */
const NOISE = 1.645;

export interface Due {
  due: boolean;
  /** In words; also why not. */
  reason: string;
}

/**
 * Whether a schedule has reason to retrain. Changes count from the newest generation that was judged, whether or not it serves: a
 * refused candidate is not made again, nor a rollback undone, before the catalogue has moved on. Drift alone is no reason either
 * where there is nothing new to learn from.
 * @param drift measured for a rule of that kind only
 */
export function retrainDue(rule: RetrainRule, changes: CatalogueChanges | null, drift: QueryDrift | null): Due {
  switch (rule.trigger) {
    case 'cron':
      return { due: true, reason: `At ${rule.cron}${rule.timeZone === undefined ? '' : ` (${rule.timeZone})`}.` };
    case 'changes':
      return dueByChanges(rule.numChanges, changes);
    case 'drift':
      return dueByDrift(rule.maxDrop, changes, drift);
  }
}

function dueByChanges(numChanges: number, changes: CatalogueChanges | null): Due {
  const total = totalOf(changes);
  if (changes === null || changes.since === null) {
    return { due: total > 0, reason: total > 0 ? 'No generation yet.' : 'The catalogue is empty.' };
  }
  const { since, added, changed, removed } = changes;
  const reason = `${total} changes since generation ${since} (${added} added, ${changed} changed, ${removed} removed), ${numChanges} are asked for.`;
  return { due: total >= numChanges, reason };
}

function dueByDrift(maxDrop: number, changes: CatalogueChanges | null, drift: QueryDrift | null): Due {
  if (drift === null || drift.generation === null) return { due: false, reason: 'No generation serves yet.' };
  const { numReference, numRecent, reference, recent, standardError } = drift;
  const isEnough = numReference >= MIN_DRIFT_QUERIES && numRecent >= MIN_DRIFT_QUERIES;
  if (!isEnough || reference === null || recent === null || standardError === null) {
    const reason = `Expected ${MIN_DRIFT_QUERIES} queries from when the model was new and as many newer ones, got ${numReference} and ${numRecent}.`;
    return { due: false, reason };
  }
  const drop = reference - recent;
  const measured = `The cosine of queries and their nearest item went from ${reference.toFixed(4)} to ${recent.toFixed(4)} (drop ${drop.toFixed(4)}, standard error ${standardError.toFixed(4)}, ${numReference} and ${numRecent} queries), ${maxDrop} is allowed`;
  if (drop <= maxDrop || drop <= NOISE * standardError) return { due: false, reason: `${measured}.` };
  if (totalOf(changes) === 0) {
    return { due: false, reason: `${measured}; but nothing new to learn from since generation ${changes?.since}.` };
  }
  return { due: true, reason: `${measured}.` };
}

function totalOf(changes: CatalogueChanges | null): number {
  return changes === null ? 0 : changes.added + changes.changed + changes.removed;
}
