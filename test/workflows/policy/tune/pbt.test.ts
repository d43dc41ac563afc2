import { describe, expect, it } from 'vitest';
import type { SearchSpace, TuneDecision } from '../../../../contracts/tuning.ts';
import { configOf, drive } from './drive.ts';

const space: SearchSpace = {
  'train.optimizer.learningRate': { kind: 'float', low: 1e-4, high: 1, scale: 'log' },
  'train.featureDropout': { kind: 'float', low: 0, high: 0.9, scale: 'linear' },
};
const config = configOf({
  epochs: 20,
  space,
  scheduler: { kind: 'pbt', every: 5, quantile: 0.25 },
  numTrials: 8,
  concurrency: 3,
});

describe('population-based training', () => {
  it('lets each of the worst quarter go on from one of the best quarter, and everyone else as it is', () => {
    const decisions: TuneDecision[] = [];
    const { trials } = drive(config, {
      // Ranks stay: trial 7 is the best.
      objective: (trial, epoch) => trial.id + epoch / 100,
      watch: (_, decision) => decisions.push(decision),
    });
    const exploits = decisions.filter((one) => one.kind === 'exploit');
    expect(exploits.map(({ trial, untilEpoch }) => [trial, untilEpoch]).sort()).toEqual(
      [10, 15, 20].flatMap((epoch) => [0, 1].map((trial) => [trial, epoch])).sort(),
    );
    for (const { from } of exploits) expect([6, 7]).toContain(from);
    expect(decisions.filter((one) => one.kind === 'promote')).toHaveLength(3 * 6);
    expect(trials.map(({ status }) => status)).toEqual(Array<string>(8).fill('done'));
    expect(trials.flatMap(({ parent, id }) => (parent === undefined ? [] : [id]))).toEqual([0, 1]);
  });

  it('strays from the values that it copies, within the space', () => {
    drive(config, {
      objective: (trial, epoch) => trial.id + epoch / 100,
      watch: ({ trials }, decision) => {
        if (decision.kind !== 'exploit') return;
        const [rate, dropout] = Object.keys(space).map((path) => Number(decision.params[path]));
        expect(decision.params).not.toEqual(trials[decision.from]!.params);
        expect(rate!).toBeGreaterThanOrEqual(1e-4);
        expect(rate!).toBeLessThanOrEqual(1);
        expect(dropout!).toBeGreaterThanOrEqual(0);
        expect(dropout!).toBeLessThanOrEqual(0.9);
      },
    });
  });

  it('copies only what still stands at the end of its generation', () => {
    drive(config, {
      objective: (trial) => (trial.id * 31) % 8,
      pick: (running) => running.at(-1)!,
      watch: ({ trials }, decision) => {
        if (decision.kind !== 'exploit') return;
        const from = trials[decision.from]!;
        expect(from).toMatchObject({ status: 'paused', untilEpoch: decision.untilEpoch - 5 });
      },
    });
  });

  it('decides the same in whatever order trials come to a generation', () => {
    const seen = [0, 1, 2].map((nth) => {
      const exploits: TuneDecision[] = [];
      drive(config, {
        objective: (trial) => (trial.id * 31) % 8,
        pick: (running) => running[nth % running.length]!,
        watch: (_, decision) => decision.kind === 'exploit' && exploits.push(decision),
      });
      return exploits.map((one) => JSON.stringify(one)).sort();
    });
    expect(seen[0]!.length).toBeGreaterThan(0);
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
  });
});
