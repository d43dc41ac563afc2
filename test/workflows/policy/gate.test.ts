import { describe, expect, it } from 'vitest';
import { compareOutcomes } from '../../../lib/eval/compare-outcomes.ts';
import { judge } from '../../../workflows/policy/gate.ts';
import { quality } from '../../support/qualities.ts';

const gate = { maxRecallDrop: 0.02, minIndexRecall: 0.9 };
const input = {
  ...{ pretrained: quality(0.5), serving: quality(0.8), replacesTrained: false },
  ...{ comparison: null, gate, force: false },
};

describe('judge', () => {
  it('accepts a candidate that is better, equal, or worse by no more than the drop', () => {
    for (const recall of [0.9, 0.8, 0.78]) {
      expect(judge({ ...input, candidate: quality(recall) })).toEqual({
        accepted: true,
        reasons: [],
        overruled: false,
      });
    }
  });

  it('refuses a candidate below the serving model by more than the drop, in words', () => {
    const { accepted, reasons } = judge({ ...input, candidate: quality(0.7799) });
    expect(accepted).toBe(false);
    expect(reasons).toEqual([
      'Expected recall@1 of the candidate to be at least 0.7800 (serving model 0.8000 minus 0.02), got 0.7799 on 4 queries.',
    ]);
  });

  it('measures against the untrained model while nothing serves', () => {
    expect(judge({ ...input, serving: null, candidate: quality(0.4) }).reasons[0]).toMatch(/untrained model 0\.5000/);
    expect(judge({ ...input, serving: null, candidate: quality(0.49) }).accepted).toBe(true);
  });

  it('lets a forced candidate pass and says what it waved through', () => {
    const { accepted, reasons, overruled } = judge({ ...input, candidate: quality(0.1), force: true });
    expect([accepted, overruled]).toEqual([true, true]);
    expect(reasons).toHaveLength(2);
  });

  it('refuses a recall that is no number', () => {
    expect(judge({ ...input, candidate: quality(Number.NaN) }).accepted).toBe(false);
    expect(judge({ ...input, candidate: { ...quality(1), recall: {} } }).accepted).toBe(false);
  });

  it('passes, saying so, when there are no queries to judge by', () => {
    const { accepted, reasons } = judge({ ...input, candidate: { ...quality(0, 0), recall: {}, mAP: null } });
    expect(accepted).toBe(true);
    expect(reasons[0]).toMatch(/Not judged/);
  });

  it('does not let an untrained model that cannot be judged replace a trained one, unless forced', () => {
    const unjudged = { ...input, candidate: { ...quality(0, 0), recall: {}, mAP: null }, replacesTrained: true };
    expect(judge(unjudged)).toMatchObject({ accepted: false });
    expect(judge(unjudged).reasons[0]).toMatch(/would replace the trained one.*force the run/);
    expect(judge({ ...unjudged, force: true })).toMatchObject({ accepted: true });
  });
});

/** Hits of two models on `n` queries of one category: those only one of them answers, and `both` that both do. */
function paired(
  category: string,
  { n, won = 0, lost = 0, both = 0 }: Record<'n', number> & Partial<Record<string, number>>,
) {
  return Array.from({ length: n }, (_, i) => {
    const [mine, theirs] = [i < won || (i >= won + lost && i < won + lost + both), i >= won && i < won + lost + both];
    const query = { image: `${category}-${i}`, label: category, category };
    return { candidate: { ...query, rank: mine ? 1 : 2 }, yardstick: { ...query, rank: theirs ? 1 : null } };
  });
}

describe('judge, query by query', () => {
  const strict = { ...gate, maxRecallDrop: 0.01, significance: 0.05, categoryQueries: 20 };

  function verdictOf(pairs: ReturnType<typeof paired>, change: Partial<Parameters<typeof judge>[0]> = {}) {
    const [mine, theirs] = [pairs.map(({ candidate }) => candidate), pairs.map(({ yardstick }) => yardstick)];
    const minQueries = (change.gate ?? strict).categoryQueries ?? 0;
    const serving = compareOutcomes(mine, theirs, minQueries);
    const pretrained = compareOutcomes(mine, mine, minQueries);
    return judge({
      ...{ candidate: quality(serving.candidate, pairs.length), serving: quality(serving.yardstick, pairs.length) },
      ...{ pretrained: quality(serving.candidate, pairs.length), replacesTrained: false, gate: strict, force: false },
      comparison: { serving, pretrained },
      ...change,
    });
  }

  it('accepts a drop that an equally good model would show as easily, and says so with numbers', () => {
    const { accepted, reasons } = verdictOf(paired('shoe', { n: 200, won: 8, lost: 12, both: 150 }));
    expect(accepted).toBe(true);
    expect(reasons).toEqual([
      'Within noise: expected recall@1 of the candidate to be at least 0.8000 (serving model 0.8100 minus 0.01), ' +
        'got 0.7900 on 200 queries: 12 lost, 8 won, p = 0.252, which is not below 0.05.',
    ]);
  });

  it('refuses one that it hardly ever would', () => {
    const { accepted, reasons } = verdictOf(paired('shoe', { n: 200, won: 2, lost: 14, both: 150 }));
    expect(accepted).toBe(false);
    expect(reasons[0]).toMatch(/got 0\.7600 on 200 queries: 14 lost, 2 won, p = 0\.002\.$/);
  });

  it('refuses any drop above the limit where significance is 1, and where there are too few queries to tell', () => {
    const noise = { won: 8, lost: 12, both: 20 };
    const anyDrop = { ...strict, significance: 1, categoryQueries: 0 };
    expect(verdictOf(paired('shoe', { n: 200, ...noise }), { gate: anyDrop }).accepted).toBe(false);
    expect(verdictOf(paired('shoe', { n: 50, ...noise }), { gate: { ...strict, categoryQueries: 0 } }).accepted).toBe(
      true,
    );
    expect(verdictOf(paired('shoe', { n: 49, ...noise }), { gate: { ...strict, categoryQueries: 0 } }).accepted).toBe(
      false,
    );
  });

  it('accepts a drop within the limit however sure it is', () => {
    const large = paired('shoe', { n: 10_000, won: 0, lost: 90, both: 8_000 });
    expect(verdictOf(large, { gate: { ...strict, categoryQueries: 0 } })).toMatchObject({
      accepted: true,
      reasons: [],
    });
  });

  it('refuses a loss in one category that the others outweigh, naming it', () => {
    const pairs = [...paired('shoe', { n: 40, lost: 15, both: 20 }), ...paired('coat', { n: 60, won: 25, both: 30 })];
    const { accepted, reasons } = verdictOf(pairs);
    expect(accepted).toBe(false);
    expect(reasons).toEqual([
      'Expected no category to lose more than 0.01 of its recall@1, but "shoe" fell from 0.8750 to 0.5000 on 40 queries ' +
        '(15 lost, 0 won, p = 6.1e-5) (p corrected for 2 categories).',
    ]);
    expect(verdictOf(pairs, { force: true })).toMatchObject({ accepted: true, overruled: true });
    const blind = { ...strict, categoryQueries: 41 };
    expect(verdictOf(pairs, { gate: blind })).toEqual({ accepted: true, reasons: [], overruled: false });
  });

  it('takes a loss in one of many categories for chance, as one of so many will show it', () => {
    const lossy = paired('0', { n: 20, won: 0, lost: 5, both: 10 });
    const calm = (count: number) =>
      Array.from({ length: count }, (_, i) => paired(`${i + 1}`, { n: 20, both: 15 })).flat();
    expect(verdictOf(lossy, { serving: quality(0.5, 20) }).accepted).toBe(false);
    expect(verdictOf([...lossy, ...calm(30)]).accepted).toBe(true);
  });

  it('says when no training at all would do better, and accepts what is better than what serves', () => {
    const pairs = paired('shoe', { n: 100, won: 10, both: 50 });
    const mine = pairs.map(({ candidate }) => candidate);
    const perfect = mine.map((query) => ({ ...query, rank: 1 }));
    const comparison = {
      serving: compareOutcomes(
        mine,
        pairs.map(({ yardstick }) => yardstick),
        0,
      ),
      pretrained: compareOutcomes(mine, perfect, 0),
    };
    const { accepted, reasons } = verdictOf(pairs, { comparison });
    expect(accepted).toBe(true);
    expect(reasons).toEqual([expect.stringMatching(/untrained model does better.*1\.0000 instead of 0\.6000/)]);
  });
});
