import { describe, expect, it } from 'vitest';
import { rulesOf } from '../../cli/schedules.ts';
import { durationText, parseDuration, ruleText } from '../../infra/schedules/rule-schema.ts';

describe('rules of a schedule, as they are written', () => {
  it('become one schedule each', () => {
    expect(rulesOf({ cron: '@daily', changes: 500, drift: 0.05, checkEvery: 60_000 })).toEqual([
      { trigger: 'cron', cron: '@daily' },
      { trigger: 'changes', numChanges: 500, checkEveryMs: 60_000 },
      { trigger: 'drift', maxDrop: 0.05, checkEveryMs: 60_000 },
    ]);
    expect(rulesOf({ changes: 1 })).toEqual([{ trigger: 'changes', numChanges: 1, checkEveryMs: 600_000 }]);
  });

  it('are refused where there is none, or an option belongs to none', () => {
    for (const options of [{}, { changes: 1, timeZone: 'UTC' }, { cron: '@daily', checkEvery: 1000 }]) {
      expect(() => rulesOf(options)).toThrow(/Expected --/);
    }
  });

  it('are told in words, times as they were given', () => {
    for (const text of ['30s', '10m', '2h', '7d']) expect(durationText(parseDuration(text)!)).toBe(text);
    for (const text of ['', '10', 'm', '1.5h', '-1m']) expect(parseDuration(text)).toBeUndefined();
    expect(rulesOf({ cron: '0 3 * * *', timeZone: 'UTC', changes: 2, drift: 0.1 }).map(ruleText)).toEqual([
      'at 0 3 * * * UTC',
      'after 2 changes, looked for every 10m',
      'when queries are 0.1 further from the catalogue, looked at every 10m',
    ]);
  });
});
