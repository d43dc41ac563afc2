import { describe, expect, it } from 'vitest';
import { microBatchesOf, operationsOf, peakHeld, SCHEDULES, timeline } from '../../../lib/pipeline/schedule.ts';

const SHAPES = SCHEDULES.flatMap((schedule) =>
  [1, 2, 3, 5].flatMap((numStages) =>
    [1, 2, 4, 9].map((numMicroBatches) => ({ schedule, numStages, numMicroBatches })),
  ),
);

describe.each(SHAPES)('$schedule of $numStages stages and $numMicroBatches micro-batches', (shape) => {
  const { schedule, numStages: K, numMicroBatches: M } = shape;
  const alike = (link: number) => Array.from({ length: K }, () => ({ forward: 1, backward: 2, link }));

  it('goes forward, then backward, once with each micro-batch in order', () => {
    for (let stage = 0; stage < K; stage++) {
      const operations = operationsOf(shape, stage);
      const order = Array.from({ length: M }, (_, i) => i);
      for (const kind of ['forward', 'backward'] as const) {
        expect(operations.filter((each) => each.kind === kind).map(({ microBatch }) => microBatch)).toEqual(order);
      }
      for (const microBatch of order) {
        const at = (kind: string) => operations.findIndex((o) => o.kind === kind && o.microBatch === microBatch);
        expect(at('forward')).toBeLessThan(at('backward'));
      }
    }
  });

  it('waits the share of the time that theory says, (K - 1) / (M + K - 1)', () => {
    const { stepSeconds, bubbleShare } = timeline(shape, alike(0));
    expect(stepSeconds).toBeCloseTo(3 * (M + K - 1), 9);
    expect(bubbleShare).toBeCloseTo((K - 1) / (M + K - 1), 9);
  });

  it('holds all inputs under gpipe, and one per stage that follows under the other', () => {
    for (let stage = 0; stage < K; stage++) {
      expect(peakHeld(shape, stage)).toBe(schedule === 'gpipe' ? M : Math.min(M, K - stage));
    }
  });

  it('takes longer over slower links', () => {
    const slow = timeline(shape, alike(0.5)).stepSeconds;
    expect(slow).toBeGreaterThanOrEqual(3 * (M + K - 1) + (K - 1));
  });
});

describe('timeline', () => {
  it('is bound by the slowest stage', () => {
    const stages = [1, 5, 1].map((forward) => ({ forward, backward: forward, link: 0 }));
    const { stepSeconds } = timeline({ schedule: 'gpipe', numStages: 3, numMicroBatches: 20 }, stages);
    expect(stepSeconds).toBeGreaterThanOrEqual(200);
    expect(stepSeconds).toBeLessThanOrEqual(204);
  });
});

describe('microBatchesOf', () => {
  it('divides all rows, as evenly as can be', () => {
    for (const [rows, count] of [
      [10, 3],
      [8, 4],
      [7, 7],
    ] as const) {
      const ranges = microBatchesOf(rows, count);
      expect(ranges[0]!.start).toBe(0);
      expect(ranges.at(-1)!.end).toBe(rows);
      ranges.slice(1).forEach(({ start }, i) => expect(start).toBe(ranges[i]!.end));
      const sizes = ranges.map(({ start, end }) => end - start);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  });
});
