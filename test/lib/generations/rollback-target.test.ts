import { describe, expect, it } from 'vitest';
import type { Generation, GenerationSwitch } from '../../../contracts/serving.ts';
import { rollbackTarget } from '../../../lib/generations/rollback-target.ts';

/** A catalogue of generations and what was switched to, one after the other. */
class History {
  readonly numbers = new Set<number>();
  readonly switches: GenerationSwitch[] = [];
  serving: number | null = null;

  to(how: GenerationSwitch['how'], ...numbers: number[]): this {
    for (const generation of numbers) {
      this.numbers.add(generation);
      this.switches.push({ generation, previous: this.serving, how, by: 'test', reason: null, at: '' });
      this.serving = generation;
    }
    return this;
  }

  generations(): Pick<Generation, 'number' | 'status'>[] {
    return [...this.numbers].map((number) => ({ number, status: number === this.serving ? 'serving' : 'retired' }));
  }

  target(): number | null {
    return rollbackTarget(this.generations(), this.switches);
  }
}

describe('what a rollback leads to', () => {
  it('is what served before; nothing while none did', () => {
    expect(new History().target()).toBeNull();
    expect(new History().to('retrain', 1).target()).toBeNull();
    expect(new History().to('retrain', 1, 2, 5).target()).toBe(2);
  });

  it('is one further back each time', () => {
    const history = new History().to('retrain', 1, 2, 3);
    const led = [];
    for (let target = history.target(); target !== null; target = history.target()) {
      led.push(target);
      history.to('rollback', target);
    }
    expect(led).toEqual([2, 1]);
  });

  it('forgets what a rollback to a number went past, and goes on from there', () => {
    const history = new History().to('retrain', 1, 2, 3, 4).to('rollback', 2);
    expect(history.target()).toBe(1);
    expect(history.to('retrain', 5).target()).toBe(2);
  });

  it('undoes a promote', () => {
    const history = new History().to('retrain', 1, 2, 3).to('promote', 1);
    expect(history.target()).toBe(3);
    expect(history.to('rollback', 3).target()).toBe(2);
  });

  it('is never what serves already, also when that was switched to twice in a row', () => {
    expect(new History().to('retrain', 1, 2).to('promote', 2).target()).toBe(1);
  });

  it('knows generations of the time before switches were recorded by their numbers', () => {
    const history = new History();
    for (const number of [1, 2, 3]) history.numbers.add(number);
    history.serving = 3;
    expect(history.target()).toBe(2);
    expect(history.to('retrain', 4).target()).toBe(3);
    const failed = [...history.generations(), { number: 9, status: 'failed' as const }];
    expect(rollbackTarget(failed, history.switches)).toBe(3);
  });
});
