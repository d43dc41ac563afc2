import { describe, expect, it } from 'vitest';
import type { Trial } from '../../../../contracts/tuning.ts';
import { nextDecision } from '../../../../workflows/policy/tune/next-decision.ts';
import { configOf, drive, trialOf } from './drive.ts';

const config = configOf({ epochs: 20, scheduler: { kind: 'medianStop', grace: 4, every: 3 }, concurrency: 9 });
const curve = (...values: number[]): Trial['reports'] => values.map((value, i) => ({ epoch: i + 1, value }));
const done = (id: number, ...values: number[]): Trial =>
  trialOf(id, { status: 'done', untilEpoch: 20, reports: curve(...values) });

describe('the median stopping rule', () => {
  it('stops a trial whose best is below the median of what the others had at the same epoch', () => {
    // At epoch 4 the others had 0.2, 0.4 and 0.6, however far they came later.
    const others = [
      done(0, 0.1, 0.1, 0.2, 0.2, 0.9),
      done(1, 0.1, 0.2, 0.3, 0.4, 0.9),
      done(2, 0.1, 0.2, 0.3, 0.6, 0.9),
    ];
    const decide = (value: number) =>
      nextDecision(config, {
        trials: [...others, trialOf(3, { untilEpoch: 4, reports: curve(0, 0, 0, value) })],
      });
    expect(decide(0.39)).toEqual({
      kind: 'stop',
      trial: 3,
      reason: "0.3900 after 4 epochs, below the others' median of 0.4000",
    });
    expect(decide(0.4)).toEqual({ kind: 'promote', trial: 3, untilEpoch: 7 });
    expect(decide(0.41)).toEqual({ kind: 'promote', trial: 3, untilEpoch: 7 });
  });

  it('takes the mean of the two in the middle of an even number', () => {
    const others = [0.1, 0.2, 0.4, 0.5].map((value, id) => done(id, value, value, value, value));
    const decide = (value: number) =>
      nextDecision(config, { trials: [...others, trialOf(4, { untilEpoch: 4, reports: curve(0, 0, 0, value) })] }).kind;
    expect(decide(0.29)).toBe('stop');
    expect(decide(0.31)).toBe('promote');
  });

  it('stops nobody before three others came so far, and asks no trial that failed', () => {
    const others = [done(0, 1, 1, 1, 1), done(1, 1, 1, 1, 1), { ...done(2, 1, 1, 1, 1), status: 'failed' as const }];
    const trial = trialOf(3, { untilEpoch: 4, reports: curve(0, 0, 0, 0) });
    expect(nextDecision(config, { trials: [...others, trial] })).toMatchObject({ kind: 'promote', trial: 3 });
  });

  it('leaves every trial its grace and trains the best to the end', () => {
    const { trials } = drive(config, {
      objective: ({ id }, epoch) => (id / 9) * epoch,
      // The best comes first: from the fourth on, each finds three that were better.
      pick: (running) => running.at(-1)!,
    });
    expect(Math.min(...trials.map(({ reports }) => reports.length))).toBe(4);
    expect(trials[8]).toMatchObject({ status: 'done', untilEpoch: 20 });
    expect(trials.filter(({ status }) => status === 'stopped').map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('stops nobody of trials that come one by one, each better than all before', () => {
    const { trials } = drive(config, { objective: ({ id }, epoch) => (id / 9) * epoch });
    expect(trials.map(({ status }) => status)).toEqual(Array<string>(9).fill('done'));
  });
});
