import { describe, expect, it } from 'vitest';
import type { TuneDecision } from '../../../../contracts/tuning.ts';
import { nextDecision } from '../../../../workflows/policy/tune/next-decision.ts';
import { rungsOf } from '../../../../workflows/policy/tune/schedulers/asha.ts';
import { hasReached } from '../../../../workflows/policy/tune/standing.ts';
import { configOf, drive, jobsOf, trialOf } from './drive.ts';

const asha = { kind: 'asha', minEpochs: 1, eta: 3 } as const;
/** Nine configurations, numbered from 1 as in the paper; the three best are 8, 6 and 1, in this order. */
const PAPER_VALUES = [0.7, 0.1, 0.2, 0.3, 0.4, 0.8, 0.5, 0.9, 0.6];

describe('asynchronous successive halving', () => {
  it('has rungs of minEpochs x eta^i, the last of them all epochs', () => {
    expect(rungsOf(1, 3, 9)).toEqual([1, 3, 9]);
    expect(rungsOf(1, 4, 60)).toEqual([1, 4, 16, 60]);
    expect(rungsOf(5, 2, 60)).toEqual([5, 10, 20, 40, 60]);
    expect(rungsOf(2, 2.5, 20)).toEqual([2, 5, 13, 20]);
  });

  it("promotes by algorithm 2 in the setting of the paper's figure 1: one worker, nine configurations, r = 1, R = 9, eta = 3", () => {
    const decisions: TuneDecision[] = [];
    const state = drive(configOf({ epochs: 9, scheduler: asha }), {
      objective: (trial) => PAPER_VALUES[trial.id]!,
      watch: (_, decision) => decisions.push(decision),
    });
    const jobs = jobsOf(decisions).map(([trial, epochs]) => [trial + 1, epochs]);
    expect(jobs).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
      [1, 3],
      [4, 1],
      [5, 1],
      [6, 1],
      [6, 3],
      [7, 1],
      [8, 1],
      [8, 3],
      [8, 9],
      [9, 1],
    ]);
    expect(state.trials.filter(({ status }) => status === 'done').map(({ id }) => id + 1)).toEqual([8]);
    expect(state.trials.filter(({ status }) => status === 'stopped')).toHaveLength(8);
  });

  it('looks at the highest rung first', () => {
    const at = (id: number, epoch: number, value: number) =>
      trialOf(id, { untilEpoch: epoch, reports: [1, 3].filter((e) => e <= epoch).map((e) => ({ epoch: e, value })) });
    const trials = [at(0, 3, 0.9), at(1, 3, 0.8), at(2, 3, 0.7), at(3, 1, 0.95), at(4, 1, 0.1)];
    const config = configOf({ epochs: 9, scheduler: asha, numTrials: 20 });
    expect(nextDecision(config, { trials })).toEqual({ kind: 'promote', trial: 0, untilEpoch: 9 });
    const [best, ...others] = trials;
    const later = { trials: [{ ...best!, status: 'running' as const, untilEpoch: 9 }, ...others] };
    // One of three is gone from the rung of 3 epochs, so nobody of it: then the best of the five in the one below. That three were
    // promoted from there before, worse ones as it turns out, is no reason to hold it back (sec. 3.3: the price of not waiting).
    expect(nextDecision({ ...config, concurrency: 2 }, later)).toEqual({ kind: 'promote', trial: 3, untilEpoch: 3 });
    const [third, fifth] = [later.trials[3]!, later.trials[4]!];
    const last = {
      trials: [...later.trials.slice(0, 3), { ...third, status: 'running' as const, untilEpoch: 3 }, fifth],
    };
    expect(nextDecision({ ...config, concurrency: 3 }, last)).toMatchObject({ kind: 'start', trial: 5, untilEpoch: 1 });
  });

  it('never waits for a rung to fill: with a free worker it starts or promotes while trials are left', () => {
    drive(configOf({ epochs: 27, scheduler: asha, numTrials: 40, concurrency: 7 }), {
      objective: (trial, epoch) => ((trial.id * 7919) % 101) / 101 + epoch / 1000,
      pick: (running) => running[(running.length * 5) >> 3]!,
      watch: (state, decision) => {
        const numRunning = state.trials.filter(({ status }) => status === 'running').length;
        if (decision.kind === 'wait' && state.trials.length < 40) expect(numRunning).toBe(7);
      },
    });
  });

  it('promotes only who is among the best 1/eta of its rung at that time, and few too many in all', () => {
    let numPromoted = 0;
    const value = (id: number): number => ((id * 7919) % 101) / 101;
    const { trials } = drive(configOf({ epochs: 27, scheduler: asha, numTrials: 60, concurrency: 4 }), {
      objective: (trial) => value(trial.id),
      watch: (state, decision) => {
        if (decision.kind !== 'promote') return;
        numPromoted += 1;
        const from = state.trials[decision.trial]!.untilEpoch;
        const rung = state.trials.filter((trial) => hasReached(trial, from));
        const numBetter = rung.filter(({ id }) => value(id) > value(decision.trial)).length;
        expect(numBetter).toBeLessThan(Math.floor(rung.length / 3));
      },
    });
    expect(numPromoted).toBeGreaterThan(20);
    for (const epoch of [1, 3, 9]) {
      const rung = trials.filter((trial) => trial.untilEpoch >= epoch);
      const promoted = trials.filter((trial) => trial.untilEpoch > epoch);
      // Nobody of the best third is left behind; of others at most about the square root of the rung goes on (sec. 3.3).
      const best = rung.toSorted((a, b) => value(b.id) - value(a.id)).slice(0, Math.floor(rung.length / 3));
      for (const trial of best) expect(promoted).toContain(trial);
      expect(promoted.length - best.length).toBeLessThanOrEqual(Math.sqrt(rung.length));
    }
  });

  it('gives the place of a promoted trial that failed to the next best', () => {
    const reports = (value: number) => [{ epoch: 1, value }];
    const trials = [
      trialOf(0, { status: 'failed', untilEpoch: 3, reports: reports(0.9) }),
      trialOf(1, { reports: reports(0.5) }),
      trialOf(2, { reports: reports(0.6) }),
    ];
    const config = configOf({ epochs: 9, scheduler: asha });
    expect(nextDecision(config, { trials })).toEqual({ kind: 'promote', trial: 2, untilEpoch: 3 });
  });

  it('trains the best to the end where there are too few trials to fill the rungs', () => {
    const state = drive(configOf({ epochs: 27, scheduler: asha, numTrials: 4, concurrency: 2 }), {
      objective: (trial) => trial.id,
    });
    expect(state.trials.map(({ status }) => status)).toEqual(['stopped', 'stopped', 'stopped', 'done']);
  });

  it('counts a trial that ended by itself in every rung, and promotes it no more', () => {
    const trials = [
      trialOf(0, { status: 'done', untilEpoch: 1, reports: [{ epoch: 1, value: 0.9 }] }),
      trialOf(1, { reports: [{ epoch: 1, value: 0.8 }] }),
      trialOf(2, { reports: [{ epoch: 1, value: 0.1 }] }),
    ];
    const config = configOf({ epochs: 9, scheduler: asha });
    expect(nextDecision(config, { trials })).toMatchObject({ kind: 'start', trial: 3 });
  });
});
