import { describe, expect, it } from 'vitest';
import { bracketsOf } from '../../../../workflows/policy/tune/schedulers/hyperband.ts';
import { configOf, drive } from './drive.ts';

const hyperband = { kind: 'hyperband', eta: 3 } as const;

describe('hyperband', () => {
  it('has the brackets of table 1 of the paper: R = 81, eta = 3', () => {
    expect(bracketsOf(81, 3)).toEqual([
      { counts: [81, 27, 9, 3, 1], epochs: [1, 3, 9, 27, 81] },
      { counts: [34, 11, 3, 1], epochs: [3, 9, 27, 81] },
      { counts: [15, 5, 1], epochs: [9, 27, 81] },
      { counts: [8, 2], epochs: [27, 81] },
      { counts: [5], epochs: [81] },
    ]);
  });

  it('finds the number of brackets without rounding: powers of eta belong to the higher one', () => {
    for (const eta of [2, 3, 5, 7]) {
      for (let s = 1; eta ** s <= 100_000; s++) {
        expect(bracketsOf(eta ** s, eta)).toHaveLength(s + 1);
        expect(bracketsOf(eta ** s - 1, eta)).toHaveLength(s);
      }
    }
  });

  it('has rungs that ascend to all epochs, also where R is no power of eta', () => {
    for (const [epochs, eta] of [
      [60, 3],
      [100, 4],
      [7, 2],
      [50, 2.5],
    ] as const) {
      for (const bracket of bracketsOf(epochs, eta)) {
        expect(bracket.epochs.at(-1)).toBe(epochs);
        for (let i = 1; i < bracket.epochs.length; i++) {
          expect(bracket.epochs[i]!).toBeGreaterThan(bracket.epochs[i - 1]!);
        }
      }
    }
  });

  it('trains exactly as many trials to each epoch as its brackets say, always the best ones', () => {
    const config = configOf({ epochs: 81, scheduler: hyperband, numTrials: 143, concurrency: 5 });
    const value = (id: number): number => ((id * 7919) % 1009) / 1009;
    const { trials } = drive(config, {
      objective: (trial) => value(trial.id),
      pick: (running) => running[running.length >> 1]!,
    });
    bracketsOf(81, 3).forEach(({ counts, epochs }, number) => {
      const members = trials.filter(({ bracket }) => bracket === number);
      const best = members.map(({ id }) => value(id)).sort((a, b) => b - a);
      counts.forEach((count, i) => {
        const reached = members.filter(({ reports }) => reports.at(-1)!.epoch >= epochs[i]!);
        expect(reached.map(({ id }) => value(id)).sort((a, b) => b - a)).toEqual(best.slice(0, count));
      });
    });
  });

  it('starts the next bracket while a rung still waits for its last trial', () => {
    let sawBoth = false;
    drive(configOf({ epochs: 9, scheduler: hyperband, numTrials: 17, concurrency: 2 }), {
      objective: (trial) => trial.id,
      // The first trial takes longer than all others.
      pick: (running) => running.at(-1)!,
      watch: ({ trials }) => {
        sawBoth ||= trials[0]?.status === 'running' && trials.some(({ bracket }) => bracket === 1);
      },
    });
    expect(sawBoth).toBe(true);
  });

  it('goes round the brackets again, and trains one to the end in a bracket that was cut short', () => {
    const config = configOf({ epochs: 9, scheduler: hyperband, numTrials: 9 + 5 + 3 + 2 });
    const { trials } = drive(config, { objective: (trial) => trial.id });
    expect(trials.map(({ bracket }) => bracket)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3]);
    expect(trials.slice(17).map(({ status }) => status)).toEqual(['stopped', 'done']);
  });

  it('lets a bracket go on without those that fail', () => {
    const config = configOf({ epochs: 9, scheduler: hyperband, numTrials: 9 });
    const { trials } = drive(config, { objective: (trial) => -trial.id, fails: (trial) => trial.id === 0 });
    expect(trials.map(({ status }) => status)).toEqual(['failed', 'done', ...Array<string>(7).fill('stopped')]);
  });
});
