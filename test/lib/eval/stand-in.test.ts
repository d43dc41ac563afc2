import { describe, expect, it } from 'vitest';
import { decideStandIn } from '../../../lib/eval/stand-in.ts';

const measured = (variant: number, variantQueries: number) =>
  decideStandIn({ numQueries: 200, recallAt1: { model: 0.8, variant, variantQueries }, maxRecallDrop: 0.01 });

describe('decideStandIn', () => {
  it('allows a variant that loses no more than it may', () => {
    expect(measured(0.79, 0.81)).toEqual({ mayServe: true, mayQuery: true, reasons: [] });
  });

  it('tells serving and querying apart, with the reason', () => {
    expect(measured(0.785, 0.795)).toEqual({
      mayServe: false,
      mayQuery: true,
      reasons: [
        "Expected recall@1 of at least 0.79 (its model's 0.8 minus 0.01) with catalogue and queries by the variant, got 0.785 on 200 queries.",
      ],
    });
    expect(measured(0.8, 0.7)).toMatchObject({ mayServe: true, mayQuery: false });
  });

  it('allows nothing that was not measured', () => {
    const unmeasured = decideStandIn({ numQueries: 0, recallAt1: null, maxRecallDrop: 1 });
    expect(unmeasured).toMatchObject({ mayServe: false, mayQuery: false });
    expect(unmeasured.reasons).toHaveLength(1);
  });
});
