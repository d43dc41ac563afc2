import { describe, expect, it } from 'vitest';
import type { CatalogueChanges, QueryDrift } from '../../../contracts/schedules.ts';
import { MIN_DRIFT_QUERIES, retrainDue } from '../../../workflows/policy/retrain-due.ts';

const changes = (added: number, since: number | null = 3): CatalogueChanges => ({
  ...{ since, added, changed: 0, removed: 0 },
});
const drift = (more: Partial<QueryDrift> = {}): QueryDrift => ({
  ...{ generation: 3, numReference: 200, numRecent: 200, reference: 0.8, recent: 0.7, standardError: 0.01, ...more },
});

describe('whether a schedule retrains', () => {
  it('by the clock always, and names the time', () => {
    expect(retrainDue({ trigger: 'cron', cron: '0 3 * * *', timeZone: 'Europe/Berlin' }, null, null)).toEqual({
      due: true,
      reason: 'At 0 3 * * * (Europe/Berlin).',
    });
  });

  it('by changes from the number asked for on, whatever their kind', () => {
    const rule = { trigger: 'changes', numChanges: 5, checkEveryMs: 1000 } as const;
    expect(retrainDue(rule, changes(4), null)).toMatchObject({ due: false });
    expect(retrainDue(rule, { since: 3, added: 2, changed: 2, removed: 1 }, null)).toEqual({
      due: true,
      reason: '5 changes since generation 3 (2 added, 2 changed, 1 removed), 5 are asked for.',
    });
  });

  it('by changes at once where there is no generation yet, but never on an empty catalogue', () => {
    const rule = { trigger: 'changes', numChanges: 500, checkEveryMs: 1000 } as const;
    expect(retrainDue(rule, changes(1, null), null)).toEqual({ due: true, reason: 'No generation yet.' });
    expect(retrainDue(rule, changes(0, null), null)).toMatchObject({ due: false });
  });

  it('by drift when the drop is larger than allowed, and says how large', () => {
    const rule = { trigger: 'drift', maxDrop: 0.05, checkEveryMs: 1000 } as const;
    const due = retrainDue(rule, changes(1), drift());
    expect(due.due).toBe(true);
    expect(due.reason).toMatch(/from 0\.8000 to 0\.7000 \(drop 0\.1000, standard error 0\.0100/);
    expect(retrainDue(rule, changes(1), drift({ recent: 0.76 }))).toMatchObject({ due: false });
    // Queries that come nearer are no drift.
    expect(retrainDue(rule, changes(1), drift({ recent: 0.95 }))).toMatchObject({ due: false });
  });

  it.each([
    ['noise', changes(1), drift({ standardError: 0.07 }), /drop 0\.1000/],
    ['too few queries lately', changes(1), drift({ numRecent: MIN_DRIFT_QUERIES - 1 }), /got 200 and 49/],
    ['too few queries before', changes(1), drift({ numReference: 0, reference: null }), /got 0 and 200/],
    ['nothing new to learn from', changes(0), drift(), /nothing new to learn from since generation 3/],
    ['nothing that serves', changes(1), drift({ generation: null }), /No generation serves/],
  ])('not by drift on %s', (_, changed, measured, why) => {
    const { due, reason } = retrainDue({ trigger: 'drift', maxDrop: 0.05, checkEveryMs: 1000 }, changed, measured);
    expect(due).toBe(false);
    expect(reason).toMatch(why);
  });
});
