import { describe, expect, test } from 'vitest';
import { meanFigures } from '../../../../infra/bench/train/step-figures.ts';

const FAST = { stepsPerSecond: 10, medianStepMs: 90, bytesPerStep: 400, waitShare: 0.5 };
const SLOW = { stepsPerSecond: 6, medianStepMs: 150, bytesPerStep: 200, waitShare: 0.25 };

describe('mean figures of replicas', () => {
  test('a replica that counted no step is left out', () => {
    const mean = { stepsPerSecond: 8, medianStepMs: 120, bytesPerStep: 300, waitShare: 0.375 };
    expect(meanFigures([FAST, null, SLOW])).toEqual(mean);
  });

  test('without a counted step there is no mean', () => {
    expect(() => meanFigures([null, null])).toThrow('No replica counted a step');
  });
});
