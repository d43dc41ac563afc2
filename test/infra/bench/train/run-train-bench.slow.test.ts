import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  TRAIN_HEADING,
  trainCells,
  trainSettingLines,
  writeTrainReport,
} from '../../../../infra/bench/train/report.ts';
import { runTrainBench } from '../../../../infra/bench/train/run-train-bench.ts';
import type { TrainBenchResult } from '../../../../infra/bench/train/run-train-bench.ts';
import type { TrainWorkload } from '../../../../infra/bench/train/workload.ts';
import { loadConfig } from '../../../../infra/config/env.ts';

const WORKLOAD: TrainWorkload = { model: 'head', features: 64, dim: 32, labels: 12, batch: 24, steps: 12, seed: 1 };
const PARAMETERS = 64 * 32 + 32 + 12 * 32;

describe('bench train', () => {
  let result: TrainBenchResult;
  const seen: number[] = [];

  beforeAll(async () => {
    result = await runTrainBench(
      loadConfig(),
      { workload: WORKLOAD, replicas: [3], shards: 2, rounds: 1, python: '/nowhere/python' },
      { signal: new AbortController().signal, progress: (done, total) => seen.push(done / total) },
    );
    // Some thirty processes, each of which loads TensorFlow.
  }, 300_000);

  test('trains in every mode and compression over real sockets', () => {
    const ways = ['sync', 'ring', 'sync, 1 backup', 'ssp of 2', 'async', 'sync, fp16', 'ring, fp16'];
    ways.push('sync, top 1 %', 'sync, 1 bit');
    expect(result.rows.map(({ name }) => name)).toEqual(['single', ...ways]);
    for (const { stepsPerSecond, medianStepMs, waitShare } of result.rows) {
      expect(stepsPerSecond).toBeGreaterThan(0);
      expect(medianStepMs).toBeGreaterThan(0);
      expect(waitShare).toBeLessThan(1);
    }
    expect(seen.at(-1)).toBe(1);
  });

  test('a synchronous replica moves its gradient and all parameters, and frames of less than 5 % where those are large', () => {
    const bound = 8 * PARAMETERS;
    const rowOf = (name: string) => result.rows.find((row) => row.name === name)!;
    const framing = rowOf('sync').bytesPerStep - bound;
    expect(result.parameters).toBe(PARAMETERS);
    expect(rowOf('sync').boundBytes).toBe(bound);
    // Four messages a step and shard, each with a header of its own.
    expect(framing).toBeGreaterThan(0);
    expect(framing).toBeLessThan(2 * 4 * 256);
    expect(rowOf('sync, fp16').bytesPerStep - framing).toBeCloseTo(6 * PARAMETERS, -2);
    expect(rowOf('sync, 1 bit').bytesPerStep).toBeLessThan(rowOf('sync, fp16').bytesPerStep);
  });

  test('a rank of a ring moves 2 (n - 1) / n of the gradient each way, and headers', () => {
    const rowOf = (name: string) => result.rows.find((row) => row.name === name)!;
    const bound = ((2 * 2) / 3) * 8 * PARAMETERS;
    expect(rowOf('ring').boundBytes).toBeCloseTo(bound, 6);
    // One bucket of values and one of the weights, four hops each, both ways; a header is 80 bytes, a weight one value.
    const framing = 2 * 2 * 4 * 80 + 2 * 4 * 4;
    // Two steps are counted, and ranks run ahead of each other by a message: at either end one more or less may have passed.
    const atTheEnds = bound / 50;
    expect(Math.abs(rowOf('ring').bytesPerStep - bound - framing)).toBeLessThan(atTheEnds);
    expect(Math.abs(rowOf('ring, fp16').bytesPerStep - bound / 2 - framing)).toBeLessThan(atTheEnds);
  });

  test('says why there is no peer', () => {
    expect(result.peer).toMatch(/^No peer: \/nowhere\/python could not run PyTorch's DDP \(.*ENOENT/);
    expect(result.rows.every(({ ratio }) => ratio === null)).toBe(true);
  });

  describe('its report', () => {
    const folder = mkdtempSync(join(tmpdir(), 'lookalike-train-report-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test('holds the figures and a drawing of them', async () => {
      const files = await writeTrainReport(result, folder);
      expect(files.map((file) => file.slice(folder.length + 1))).toEqual(['result.json', 'train.svg', 'train.png']);
      expect(files.every((file) => existsSync(file))).toBe(true);
      expect(trainCells(result.rows).every((cells) => cells.length === TRAIN_HEADING.length)).toBe(true);
      expect(trainSettingLines(result).join('\n')).toMatch(
        /2464 parameters; global batch 24, 12 steps, seed 1; 2 shards/,
      );
    });
  });
});

test('bench train moves a convolutional network of 56,714 parameters within 5 % of the least bytes there can be', async () => {
  const result = await runTrainBench(
    loadConfig(),
    { workload: { ...WORKLOAD, model: 'convnet', steps: 4 }, replicas: [2], shards: 1, rounds: 1, python: null },
    { signal: new AbortController().signal, progress: () => undefined },
  );
  expect(result.parameters).toBe(56_714);
  const { bytesPerStep, boundBytes } = result.rows.find(({ name }) => name === 'sync')!;
  expect(boundBytes).toBe(8 * 56_714);
  expect(bytesPerStep / boundBytes).toBeGreaterThanOrEqual(1);
  expect(bytesPerStep / boundBytes).toBeLessThan(1.05);
  expect(result.rows.every(({ stepsPerSecond }) => stepsPerSecond > 0)).toBe(true);
}, 300_000);
