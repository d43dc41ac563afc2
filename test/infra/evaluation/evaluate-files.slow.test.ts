import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../../infra/config/env.ts';
import { evaluateFiles } from '../../../infra/evaluation/evaluate-files.ts';
import type { EvaluateFilesOptions } from '../../../infra/evaluation/evaluate-files.ts';
import type { PictureProblem } from '../../../infra/evaluation/labelled-pictures.ts';
import { createEmbedder } from '../../../infra/inference/embedder.ts';
import { ensurePretrained } from '../../../infra/models/publish-head-model.ts';
import { weightsPath } from '../../../infra/provision/weights.ts';
import { openStores } from '../../../infra/stores.ts';
import { plainTf } from '../../lib/export/tfjs.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { publishSmallBackbone } from '../models/small-backbone.ts';
import { CODES, emojiPath } from '../training/workshop.ts';

interface Row {
  id: string;
  image: string;
  label?: string;
  category?: string;
  attributes?: Record<string, string>;
}

/** Real pictures by a real embedder; the tiny backbone, untrained, unless another model is asked for. */
async function openBench(cacheDir?: string) {
  const folder = temporaryFolder();
  const config = loadConfig({
    LOOKALIKE_DATA_DIR: folder,
    LOOKALIKE_CACHE_DIR: cacheDir ?? join(folder, 'cache'),
    LOOKALIKE_EMBED_THREADS: '1',
    LOOKALIKE_EXECUTION_PROVIDER: 'cpu',
    LOOKALIKE_BACKEND: 'wasm',
  });
  const stores = await openStores(config);
  const embedder = createEmbedder({ config, stores });
  onTestFinished(async () => {
    await embedder.close();
    await stores.close();
  });
  const write = (name: string, rows: Row[]): string => {
    const path = join(folder, name);
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return path;
  };
  const evaluate = (options: Pick<EvaluateFilesOptions, 'queries' | 'catalogueFile'> & Partial<EvaluateFilesOptions>) =>
    evaluateFiles({
      config,
      stores,
      embedder,
      model: 'pretrained',
      catalogue: 'none',
      match: 'label',
      ks: [1, 5],
      ...options,
    });
  const small = async (): Promise<string> => {
    const backbone = await publishSmallBackbone(await plainTf(), folder, stores);
    return (await ensurePretrained(stores, backbone.id)).id;
  };
  return { folder, write, evaluate, small };
}

const rows = (vendor: 'google' | 'twitter', codes = CODES): Row[] =>
  codes.map((code) => ({ id: `${vendor}-${code}`, image: emojiPath(vendor, code), label: code, category: vendor }));

describe('evaluating files', () => {
  it('finds each picture in a catalogue that holds it, by whatever field counts as right', async () => {
    const { write, evaluate, small } = await openBench();
    const model = await small();
    const same = rows('google').map((row, i) => ({ ...row, attributes: { parity: i % 2 ? 'odd' : 'even' } }));
    const [queries, catalogueFile] = [write('queries.jsonl', same), write('catalogue.jsonl', same)];
    const seen: number[] = [];
    const found = await evaluate({ queries, catalogueFile, model, onProgress: ({ done }) => seen.push(done) });
    expect(found).toMatchObject({ model, numQueries: 12, numCatalogue: 12, numRejected: 0, mAP: 1 });
    expect(found.recall).toEqual({ 1: 1, 5: 1 });
    expect(seen).toEqual([12, 12]);
    for (const match of ['id', 'attributes.parity']) {
      expect((await evaluate({ queries, catalogueFile, model, match })).recall['1']).toBe(1);
    }
    // A catalogue of which half has another label than its picture's query.
    const swapped = same.map((row, i) => (i < 6 ? { ...row, label: 'something else' } : row));
    const half = await evaluate({ queries, catalogueFile: write('swapped.jsonl', swapped), model });
    expect(half.recall['1']).toBe(0.5);
  });

  it('leaves out what cannot take part, tells why with its row, and counts it', async () => {
    const { folder, write, evaluate, small } = await openBench();
    const truncated = join(folder, 'truncated.png');
    writeFileSync(truncated, readFileSync(emojiPath('google', CODES[0]!)).subarray(0, 600));
    const good = rows('google').slice(0, 3);
    const queries = write('queries.jsonl', [
      good[0]!,
      { id: 'missing', image: 'nowhere.png', label: 'x' },
      { id: 'truncated', image: truncated, label: 'x' },
      { id: 'unlabelled', image: emojiPath('google', CODES[1]!) },
      { id: 'no picture', image: '' },
      good[1]!,
    ]);
    const problems: PictureProblem[] = [];
    const found = await evaluate({
      ...{ queries, catalogueFile: write('catalogue.jsonl', good), model: await small() },
      onProblem: (problem) => problems.push(problem),
    });
    expect(found).toMatchObject({ numQueries: 2, numCatalogue: 3, numRejected: 4, recall: { 1: 1 } });
    const told = new Map(problems.map(({ id, row, source, reason }) => [id, { row, source, reason }]));
    expect(told.get('missing')).toMatchObject({ row: 2, source: queries });
    expect(told.get('missing')!.reason).toContain(`Expected a picture at ${join(folder, 'nowhere.png')}`);
    expect(told.get('truncated')).toMatchObject({ row: 3 });
    expect(told.get('unlabelled')).toMatchObject({ row: 4, reason: 'Expected a label to match by, got none.' });
    expect(told.get('no picture')).toMatchObject({ row: 5 });
    expect(problems).toHaveLength(4);
  });

  it('takes folders of folders: the folder is the label', async () => {
    const { folder, evaluate, small } = await openBench();
    for (const vendor of ['google', 'twitter'] as const) {
      for (const code of CODES.slice(0, 3)) {
        mkdirSync(join(folder, vendor, code), { recursive: true });
        copyFileSync(emojiPath(vendor, code), join(folder, vendor, code, 'picture.png'));
      }
    }
    const [queries, catalogueFile] = [join(folder, 'twitter'), join(folder, 'google')];
    expect(await evaluate({ queries, catalogueFile, model: await small() })).toMatchObject({
      ...{ numQueries: 3, numCatalogue: 3, numRejected: 0 },
    });
  });

  it('refuses a match it does not know, a list without usable rows, and stops when asked', async () => {
    const { folder, write, evaluate, small } = await openBench();
    const model = await small();
    const path = write('good.jsonl', rows('google').slice(0, 2));
    const files = { queries: path, catalogueFile: path, model };
    await expect(evaluate({ ...files, match: 'colour' })).rejects.toThrow(
      'Expected to match by label, category, title, id or attributes.NAME, got "colour".',
    );
    const empty = write('empty.jsonl', [{ id: 'a', image: 'nowhere.png', label: 'x' }]);
    await expect(evaluate({ ...files, catalogueFile: empty })).rejects.toThrow(
      'Expected catalogue with usable pictures and a label, got none.',
    );
    const absent = join(folder, 'absent.csv');
    await expect(evaluate({ ...files, queries: absent })).rejects.toMatchObject({ code: 'notFound' });
    const signal = AbortSignal.abort();
    await expect(evaluate({ ...files, signal })).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('stops also during the search, which leaves the process free', async () => {
    const { write, evaluate, small } = await openBench();
    const path = write('good.jsonl', rows('google').slice(0, 2));
    const abort = new AbortController();
    const evaluation = evaluate({
      ...{ queries: path, catalogueFile: path, model: await small(), signal: abort.signal },
      onProgress: ({ what }) => void (what === 'catalogue' && setImmediate(() => abort.abort())),
    });
    await expect(evaluation).rejects.toMatchObject({ code: 'cancelled' });
  });

  const weights = weightsPath(loadConfig());
  it.skipIf(!existsSync(weights))(
    'finds most emoji of one vendor among another’s by the real backbone (skipped where its weights are not provisioned)',
    async () => {
      const { write, evaluate } = await openBench(dirname(dirname(weights)));
      const [queries, catalogueFile] = [write('q.jsonl', rows('twitter')), write('c.jsonl', rows('google'))];
      const found = await evaluate({ queries, catalogueFile });
      expect(found).toMatchObject({ numQueries: 12, numCatalogue: 12, numRejected: 0 });
      expect(found.recall['1']).toBeGreaterThanOrEqual(0.75);
      expect(found.recall['5']).toBeGreaterThanOrEqual(found.recall['1']!);
    },
  );
});
