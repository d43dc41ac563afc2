import { describe, expect, it } from 'vitest';
import { describeGenerations } from '../../cli/generations.ts';
import type { Generation } from '../../contracts/serving.ts';
import { generation } from '../api/fakes.ts';

const made = (number: number, status: Generation['status'], metrics: Generation['metrics']): Generation => ({
  ...generation(number, status),
  metrics,
});

describe('the list of generations', () => {
  it('tells how good each was, why it was refused, and who forced it', () => {
    const text = describeGenerations(
      [
        made(3, 'rejected', { reasons: ['Expected recall@1 to be at least 0.9, got 0.7.'] }),
        made(2, 'serving', {
          ...{ quality: { candidate: { recall: { 1: 0.81234 } } }, indexRecall: 0.99, reasons: ['Too low.'] },
          override: { by: 'ann', reason: 'coats', at: '2026-01-01T00:00:00.000Z' },
        }),
      ],
      [{ generation: 2, previous: 1, how: 'rollback', by: 'ann', reason: 'shoes', at: '2026-01-02T00:00:00.000Z' }],
    );
    const lines = text.split('\n');
    expect(lines[1]).toMatch(/^ *3 +rejected .*at least 0\.9, got 0\.7\./);
    expect(lines[2]).toMatch(/^ *2 +serving +0\.8123 +0\.9900 .*FORCED by ann: coats; Too low\./);
    expect(text).toMatch(/2026-01-02.* rollback +1 +2 +ann +shoes/);
    expect(describeGenerations([], [])).toMatch(/No generation yet/);
  });
});
