import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BenchOptions } from '../../../infra/bench/bench-options.ts';
import { startPeers } from '../../../infra/bench/peers.ts';
import { runBench } from '../../../infra/bench/run-bench.ts';
import type { BenchResult } from '../../../infra/bench/run-bench.ts';
import { writeReport } from '../../../infra/bench/write-report.ts';

const options: BenchOptions = {
  source: { kind: 'synthetic', size: 400, dim: 16, noiseRank: 4 },
  metric: 'cosine',
  k: 10,
  kinds: ['exact'],
  threads: 1,
  seed: 1,
  quick: true,
  python: null,
};
const quiet = { line: () => undefined, progress: () => undefined };
const run = (changes: Partial<BenchOptions>, signal = new AbortController().signal): Promise<BenchResult> =>
  runBench(
    { ...options, ...changes },
    { signal, report: quiet, useStores: () => Promise.reject(new Error('No catalogue was named.')) },
  );

/** A Python with faiss or hnswlib, if this machine has one. */
const python = process.env.LOOKALIKE_PEER_PYTHON ?? 'python3';
const peers = await startPeers(python, new AbortController().signal);
if (typeof peers !== 'string') await peers.close();

describe('a comparison without peers', () => {
  let result: BenchResult;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lookalike-bench-'));
    result = await run({});
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('measures recall, both speeds, memory and build time of every row', () => {
    expect(result.data).toMatchObject({ numRows: 400, numQueries: 100, dim: 16 });
    const f32 = result.rows.find((row) => row.name === 'exact')!;
    expect(f32.recall).toBe(1);
    for (const row of result.rows) {
      expect(row.by).toBe('lookalike');
      expect(row.single).toBeGreaterThan(0);
      expect(row.batch).toBeGreaterThan(0);
      expect(row.memoryBytes).toBeGreaterThanOrEqual(400 * 16 * 4);
      expect(row.buildSeconds).toBeGreaterThan(0);
      expect(row.ratios).toEqual([]);
    }
    expect(result.atRecall.filter(({ name }) => name === 'exact').map(({ recall }) => recall)).toEqual([
      0.9, 0.95, 0.99,
    ]);
  });

  it('writes figures, drawings and one page that needs nothing else', async () => {
    const files = await writeReport(result, folder);
    expect(files.map((path) => basename(path))).toEqual([
      'result.json',
      'recall-single.svg',
      'recall-single.png',
      'recall-batch.svg',
      'recall-batch.png',
      'report.html',
    ]);
    expect(JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'))).toEqual(JSON.parse(JSON.stringify(result)));
    const png = await sharp(join(folder, 'recall-single.png')).stats();
    // A drawing that shows nothing would be of one colour.
    expect(Math.max(...png.channels.map(({ stdev }) => stdev))).toBeGreaterThan(5);
    const page = readFileSync(join(folder, 'report.html'), 'utf8');
    expect(page).toContain('<svg');
    expect(page).toContain('exact int8');
    expect(page).not.toMatch(/(src|href)="http/);
  });
});

it('absent peers are a sentence', async () => {
  const { peers } = await run({ python: '/nowhere/python3' });
  expect(peers).toMatch(/^No peers: \/nowhere\/python3 could not be asked/);
});

it('a comparison that is stopped ends with what stopped it', async () => {
  await expect(run({}, AbortSignal.abort(new Error('Enough.')))).rejects.toThrow('Enough.');
});

it('fewer vectors than neighbours wanted are refused', async () => {
  const source = { kind: 'synthetic', size: 8, dim: 4, noiseRank: 4 } as const;
  await expect(run({ source })).rejects.toThrow(/at least k = 10 vectors to search, got 8/);
});

describe.skipIf(typeof peers === 'string')(`beside peers (${typeof peers === 'string' ? peers : python})`, () => {
  it('each row of ours that no other beats has a ratio, and the peer finds what ours finds', async () => {
    const { rows, atRecall } = await run({ python, metric: 'l2' });
    const theirs = rows.filter((row) => row.by === 'peer' && row.name === 'faiss Flat');
    expect(theirs.length).toBeGreaterThan(0);
    for (const row of theirs) expect(row.recall).toBe(1);
    const ratio = rows.find((row) => row.name === 'exact')!.ratios![0]!;
    expect(ratio.peer).toBe('faiss Flat');
    expect(ratio.single).toBeGreaterThan(0);
    expect(ratio.batch).toBeGreaterThan(0);
    expect(atRecall.find(({ name }) => name === 'exact')?.ratios?.single).toBeGreaterThan(0);
  });
});
