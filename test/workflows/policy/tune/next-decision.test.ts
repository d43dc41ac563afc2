import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SchedulerConfig, SearchConfig, SearchSpace, TuneConfig } from '../../../../contracts/tuning.ts';
import { canonical } from '../../../../lib/tune/dimension.ts';
import { nextDecision } from '../../../../workflows/policy/tune/next-decision.ts';
import { configOf, drive } from './drive.ts';

const space: SearchSpace = {
  rate: { kind: 'float', low: 1e-4, high: 1, scale: 'log' },
  width: { kind: 'int', low: 1, high: 5, scale: 'linear' },
  loss: { kind: 'choice', values: ['a', { kind: 'b', margin: 0.1 }] },
  scale: { kind: 'float', low: 0, high: 1, scale: 'linear', step: 0.25, when: { loss: ['a'] } },
};
const searches: SearchConfig[] = [
  { kind: 'grid', points: 3 },
  { kind: 'random' },
  { kind: 'tpe', startup: 5, candidates: 8, gamma: 0.2 },
];
const schedulers: SchedulerConfig[] = [
  { kind: 'none' },
  { kind: 'medianStop', grace: 2, every: 3 },
  { kind: 'asha', minEpochs: 1, eta: 2 },
  { kind: 'hyperband', eta: 3 },
  { kind: 'pbt', every: 4, quantile: 0.3 },
];

const anySearch = fc.record({
  search: fc.constantFrom(...searches),
  scheduler: fc.constantFrom(...schedulers),
  numTrials: fc.integer({ min: 1, max: 24 }),
  concurrency: fc.integer({ min: 1, max: 6 }),
  epochs: fc.integer({ min: 3, max: 20 }),
  seed: fc.nat(),
  /** The order of reports, who fails, and what comes out, all by one list of numbers that is read round and round. */
  fate: fc.array(fc.nat(1000), { minLength: 1, maxLength: 30 }),
  failing: fc.integer({ min: 0, max: 4 }),
});

describe('nextDecision', () => {
  it('starts as many trials as may run at once, then waits, and ends when all are done', () => {
    const config = configOf({ numTrials: 3, concurrency: 2 });
    const kinds: string[] = [];
    drive(config, { objective: () => 1, watch: (_, { kind }) => kinds.push(kind) });
    expect(kinds).toEqual(['start', 'start', 'wait', 'start', 'wait', 'wait', 'finished']);
  });

  it('keeps its promises whatever fails and in whatever order reports come', () => {
    fc.assert(
      fc.property(anySearch, ({ fate, failing, ...change }) => {
        const config = configOf({ ...change, space });
        let at = 0;
        const next = (): number => fate[at++ % fate.length]!;
        const started = new Set<number>();
        const last = drive(config, {
          objective: ({ id }, epoch) => ((id * 37 + fate[0]!) % 11) / 11 + epoch / 100,
          pick: (running) => running[next() % running.length]!,
          fails: () => next() % 10 < failing,
          watch: (state, decision) => {
            const before = canonical(state as never);
            expect(nextDecision(config, structuredClone(state))).toEqual(decision);
            expect(canonical(state as never)).toBe(before);
            const numRunning = state.trials.filter(({ status }) => status === 'running').length;
            expect(numRunning).toBeLessThanOrEqual(config.concurrency);
            if (decision.kind === 'wait') expect(numRunning).toBeGreaterThan(0);
            if (decision.kind === 'start') {
              expect(decision.trial).toBe(state.trials.length);
              expect(started.has(decision.trial)).toBe(false);
              started.add(decision.trial);
              expect(decision.untilEpoch).toBeGreaterThanOrEqual(1);
            }
            if ('trial' in decision && decision.kind !== 'start') {
              expect(state.trials[decision.trial]).toMatchObject({ status: 'paused' });
            }
            if (decision.kind === 'promote' || decision.kind === 'exploit') {
              expect(decision.untilEpoch).toBeGreaterThan(state.trials[decision.trial]!.untilEpoch);
            }
            if ('untilEpoch' in decision) expect(decision.untilEpoch).toBeLessThanOrEqual(config.base.train.epochs);
          },
        });
        expect(last.trials).toHaveLength(config.numTrials);
        for (const { status } of last.trials) expect(['done', 'stopped', 'failed']).toContain(status);
        // Nobody is tried twice, but for those of a population, who copy each other.
        const distinct = new Set(last.trials.map(({ params }) => canonical(params)));
        if (config.scheduler.kind !== 'pbt') expect(distinct.size).toBe(last.trials.length);
      }),
      { numRuns: 60 },
    );
  });

  it.each(schedulers)('ends with its best trial trained to the end: $kind', (scheduler) => {
    const config = configOf({ scheduler, space, numTrials: 12, concurrency: 3, epochs: 20 });
    const { trials } = drive(config, { objective: ({ id }) => (id * 5) % 12 });
    expect(trials.find(({ id }) => (id * 5) % 12 === 11)).toMatchObject({ status: 'done', untilEpoch: 20 });
  });

  it.each(schedulers)('ends when everything fails: $kind', (scheduler) => {
    const config = configOf({ scheduler, space, numTrials: 12, concurrency: 3, epochs: 20 });
    const { trials } = drive(config, { objective: () => 0, fails: () => true });
    expect(trials.map(({ status }) => status)).toEqual(Array<string>(12).fill('failed'));
  });

  it('ends early where the space holds fewer combinations than trials were asked for', () => {
    const small: SearchSpace = {
      width: { kind: 'int', low: 1, high: 3, scale: 'log' },
      loss: { kind: 'choice', values: ['a', 'b'] },
    };
    for (const search of searches) {
      const config: TuneConfig = configOf({ space: small, search, numTrials: 50 });
      const { trials } = drive(config, { objective: ({ id }) => id });
      expect(new Set(trials.map(({ params }) => canonical(params))).size).toBe(6);
      expect(trials).toHaveLength(6);
    }
  });

  it('gives another seed other trials, and the same one the same', () => {
    const paramsOf = (seed: number): string =>
      canonical(drive(configOf({ seed }), { objective: () => 0 }).trials.map(({ params }) => params));
    expect(paramsOf(1)).toBe(paramsOf(1));
    expect(paramsOf(2)).not.toBe(paramsOf(1));
  });
});
