import { describe, expect, it } from 'vitest';
import { describeTune, headline, sparkline } from '../../cli/tune-view.ts';
import { describeTuned } from '../../cli/tune.ts';
import type { Trial, TuneOutput, TuneView } from '../../contracts/tuning.ts';

const trial = (id: number, change: Partial<Trial> = {}): Trial => ({
  ...{ id, params: { 'train.optimizer.learningRate': 0.01 * (id + 1) }, status: 'paused', untilEpoch: 3 },
  ...{ reports: [{ epoch: 3, value: 0.5 + id / 10 }], failures: 0, ...change },
});
const view: TuneView = {
  ...{ catalogue: 'shop', numTrials: 20, epochs: 27, trainers: 2, width: 2, best: 1, search: 'tpe', scheduler: 'asha' },
  trials: [
    trial(0, { status: 'stopped', reason: 'not among the best' }),
    trial(1),
    trial(2, { status: 'running', untilEpoch: 9, reports: [], failures: 1 }),
    trial(3, {
      status: 'failed',
      reports: [],
      reason: 'Expected a finite loss.',
      params: { 'train.loss': { kind: 'x' } },
    }),
  ],
};

describe('a search at a glance', () => {
  it('says how far it is, how wide, and what is best', () => {
    expect(headline(view)).toBe(
      '4 of 20 trials: 1 stopped, 1 paused, 1 running, 1 failed; 2 at once (2 trainers); tpe, asha; best 0.6000 (t01)',
    );
    expect(headline({ ...view, trials: [], best: null, trainers: null })).toBe('0 of 20 trials; 2 at once; tpe, asha');
  });

  it('shows those that run first, then the best; why others ended, and live epochs', () => {
    const live = new Map([[2, { epoch: 5, recallByEpoch: [0.1, 0.2, 0.3, 0.4, 0.5] }]]);
    const lines = describeTune(view, { live }).split('\n');
    const rows = lines.slice(3);
    expect(rows.map((row) => row.trim().split(/\s+/)[0])).toEqual(['t02', '*t01', 't00', 't03']);
    expect(rows[0]).toMatch(/running +5\/9\/27 .*learningRate=0\.03 +failed once/);
    expect(rows[2]).toMatch(/stopped +3\/27 +0\.5000 .*not among the best/);
    expect(rows[3]).toMatch(/failed +0\/27 +- .*loss=\{"kind":"x"\} +Expected a finite loss\./);
    expect(describeTune(view, { maxRows: 1 })).toMatch(/and 3 more$/);
  });

  it('draws curves on one scale, as far as they came', () => {
    const range = { low: 0, high: 1 };
    expect(sparkline([], 8, range)).toBe('');
    const reports = [1, 2, 3, 4].map((epoch) => ({ epoch, value: epoch / 4 }));
    expect(sparkline(reports, 8, range)).toBe('▃▅▇█');
    expect(sparkline(reports.slice(0, 1), 8, { low: 0.25, high: 0.25 })).toBe('█');
  });
});

describe('what came of a search', () => {
  const output: TuneOutput = {
    ...{ outcome: 'cancelled', tuning: 'tuning-1', snapshot: 'snapshot-1' },
    best: { trial: 1, params: { views: 2 }, value: 0.6, epochs: 3, config: {} as never, model: null },
    trials: [
      { id: 0, params: {}, status: 'failed', failures: 3, epochs: 0, value: null, reason: 'lost' },
      { id: 1, params: { views: 2 }, status: 'stopped', failures: 0, epochs: 3, value: 0.6 },
    ],
  };

  it('names the best, whether its model is there, and how to serve it', () => {
    const text = describeTuned(output);
    expect(text).toContain('the best so far is kept');
    expect(text).toContain('Best: t01, validation recall@1 0.6000: views=2');
    expect(text).toContain('a retrain goes on from its checkpoint');
    expect(text).toContain('lookalike retrain --from-tune --wait');
    const whole = { ...output, outcome: 'finished' as const, best: { ...output.best, model: 'model-7' } };
    expect(describeTuned(whole)).toContain('Model: model-7');
    expect(describeTuned(whole)).not.toContain('cancelled');
  });
});
