import type { JsonObject } from '../contracts/json.ts';
import type { SearchSpace } from '../contracts/tuning.ts';

/** An objective of a search: the same sums as in the peers' program, which is checked before anything is compared. */
export interface Objective {
  space: SearchSpace;
  /** What a trial has after so many epochs; higher is better, and it only rises. */
  value: (params: JsonObject, epoch: number) => number;
  /** The most that can be had. */
  best: number;
}

export const MAX_EPOCHS = 27;

/**
 * `branin`: two numbers, Branin's function negated, without a curve worth the name: all is known after one epoch.
 * `training`: five dimensions of which one has a condition, as of a real head; a learning curve whose speed depends on the rate, so that
 * what leads early is not always what wins.
 */
export const OBJECTIVES: Record<string, Objective> = {
  branin: {
    space: {
      x: { kind: 'float', low: -5, high: 10, scale: 'linear' },
      y: { kind: 'float', low: 0, high: 15, scale: 'linear' },
    },
    value: ({ x, y }) => -branin(Number(x), Number(y)),
    best: -0.397887357729739,
  },
  training: {
    space: {
      rate: { kind: 'float', low: 1e-5, high: 1, scale: 'log' },
      dropout: { kind: 'float', low: 0, high: 0.9, scale: 'linear' },
      width: { kind: 'int', low: 8, high: 512, scale: 'log' },
      loss: { kind: 'choice', values: ['a', 'b', 'c'] },
      margin: { kind: 'float', low: 0, high: 1, scale: 'linear', when: { loss: ['b'] } },
    },
    value: (params, epoch) => {
      const [rate, dropout, width] = [
        Math.log10(Number(params['rate'])),
        Number(params['dropout']),
        Number(params['width']),
      ];
      const losses: Record<string, number> = {
        a: 0.1,
        b: 4 * (Number(params['margin'] ?? 0) - 0.3) ** 2 * 0.1,
        c: 0.04,
      };
      const loss = losses[params['loss'] as string]!;
      const apart = 0.05 * (rate + 2) ** 2 + 0.3 * (dropout - 0.25) ** 2 + 0.02 * Math.log2(width / 128) ** 2 + loss;
      const final = 0.9 * Math.exp(-apart);
      const speed = 0.05 + 0.4 / (1 + Math.exp(-(rate + 2)));
      return final * (1 - Math.exp(-speed * epoch));
    },
    // Margin 0.3, dropout 0.25, width 128; the rate trades speed for what is reached: found by a fine scan of its one dimension.
    best: bestOf((rate) => {
      const speed = 0.05 + 0.4 / (1 + Math.exp(-(rate + 2)));
      return 0.9 * Math.exp(-0.05 * (rate + 2) ** 2) * (1 - Math.exp(-speed * MAX_EPOCHS));
    }),
  },
};

function branin(x: number, y: number): number {
  const [b, c, t] = [5.1 / (4 * Math.PI ** 2), 5 / Math.PI, 1 / (8 * Math.PI)];
  return (y - b * x ** 2 + c * x - 6) ** 2 + 10 * (1 - t) * Math.cos(x) + 10;
}

function bestOf(of: (rate: number) => number): number {
  return Math.max(...Array.from({ length: 50_001 }, (_, i) => of(-5 + i / 10_000)));
}
