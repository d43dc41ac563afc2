import { describe, expect, test } from 'vitest';
import { adviseTraining } from '../../../lib/advise/advise.ts';
import type { Workload } from '../../../lib/advise/setup.ts';

const BASE = {
  messageSeconds: 2e-4,
  frameSeconds: 0,
  byteSeconds: 0,
  updateBytesPerSecond: 4e9,
  codecSecondsPerParameter: 1e-9,
  stragglers: { variation: 0, slowShare: 0, slowFactor: 1 },
};
const small: Workload = { numParameters: 50_000, computeSeconds: 0.1 };
const large: Workload = { numParameters: 100_000_000, computeSeconds: 0.1 };

function adviceFor(workload: Workload, replicas: number, bitsPerSecond: number, base = BASE) {
  return adviseTraining(workload, base, { replicas: [replicas], bitsPerSecond: [bitsPerSecond] })[0]!;
}

describe('advice for data-parallel training', () => {
  test('an exact strategy is chosen where communication is cheap', () => {
    const { chosen, why } = adviceFor(small, 8, 1e10);
    expect(chosen.isExact).toBe(true);
    expect(chosen.prediction.efficiency).toBeGreaterThan(0.9);
    expect(why).not.toMatch(/wait/);
  });

  test('a large model on a slow network is advised against, with the share of waiting', () => {
    const { chosen, why } = adviceFor(large, 64, 1e9);
    expect(chosen.prediction.efficiency).toBeLessThan(0.5);
    expect(why).toMatch(/Replicas wait \d+ % of the time: fewer of them/);
  });

  test('stragglers make an inexact strategy worth its price', () => {
    const stragglers = { variation: 0.2, slowShare: 0.05, slowFactor: 8 };
    const { chosen, why, options } = adviceFor(small, 32, 1e10, { ...BASE, stragglers });
    expect(chosen.isExact).toBe(false);
    expect(why).toMatch(/% faster than .*count the steps/);
    const rates = options.map(({ prediction }) => prediction.slicesPerSecond);
    expect(rates).toEqual([...rates].sort((a, b) => b - a));
  });

  test('there is one piece of advice for each size and network', () => {
    const advice = adviseTraining(small, BASE, { replicas: [2, 4], bitsPerSecond: [1e9, 1e10] }, { numSteps: 20 });
    expect(advice.map(({ replicas, bitsPerSecond }) => [replicas, bitsPerSecond])).toEqual([
      [2, 1e9],
      [2, 1e10],
      [4, 1e9],
      [4, 1e10],
    ]);
  });
});
