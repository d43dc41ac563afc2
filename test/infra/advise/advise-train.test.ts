import { expect, test } from 'vitest';
import { ADVICE_HEADING, adviceCells, adviseTrain } from '../../../infra/advise/advise-train.ts';

const OPTIONS = {
  parameters: 1_000_000,
  stepMs: 100,
  replicas: [2],
  gbit: [1],
  messageUs: 0,
  frameUs: 0,
  byteNs: 0,
  updateGbs: 1e9,
  codecNs: 0,
  variation: 0,
  slowShare: 0,
  slowFactor: 1,
  seed: 1,
};

test('options are taken in their units: a ring of two moves 4 MB each way at 1 Gbit/s', () => {
  const [advice] = adviseTrain(OPTIONS);
  const ring = advice!.options.find(({ name }) => name === 'ring, float32')!;
  // 2 (n - 1) / n of 4 MB at 1 Gbit/s is 32 ms, in one bucket.
  expect(1 / ring.prediction.efficiency).toBeCloseTo(1.32, 4);
  expect(ring.prediction.bytesPerStep).toBe(8e6);
});

test('every column of the table has its cell', () => {
  const [advice] = adviseTrain(OPTIONS);
  expect(adviceCells(advice!)).toHaveLength(ADVICE_HEADING.length);
});
