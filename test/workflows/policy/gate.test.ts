import { describe, expect, it } from 'vitest';
import { judge } from '../../../workflows/policy/gate.ts';
import { quality } from '../../support/qualities.ts';

const gate = { maxRecallDrop: 0.02, minIndexRecall: 0.9 };
const input = { pretrained: quality(0.5), serving: quality(0.8), replacesTrained: false, gate, force: false };

describe('judge', () => {
  it('accepts a candidate that is better, equal, or worse by no more than the drop', () => {
    for (const recall of [0.9, 0.8, 0.78]) {
      expect(judge({ ...input, candidate: quality(recall) })).toEqual({ accepted: true, reasons: [] });
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
    const { accepted, reasons } = judge({ ...input, candidate: quality(0.1), force: true });
    expect(accepted).toBe(true);
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
