import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportSummary } from '../../contracts/catalogue.ts';
import type { RetrainSchedule } from '../../contracts/schedules.ts';
import type { Generation, GenerationSwitch, SearchAnswer } from '../../contracts/serving.ts';
import type { SimilarAnswer, SimilarItemsOutput } from '../../contracts/similar.ts';
import type { RetrievalQuality } from '../../contracts/training.ts';
import type { RetrainOutput } from '../../contracts/workflows.ts';
import type { Top } from '../../cli/top-view.ts';
import { writeDemoFiles } from '../../infra/demo/emoji.ts';
import type { DemoFiles } from '../../infra/demo/emoji.ts';
import type { Switched } from '../../infra/generations/promote.ts';
import { identify, isAlive } from '../../infra/supervisor/process-identity.ts';
import { chromiumPath, openBrowser } from './browser.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';

const CATALOGUE = 'shop';
const IN = ['--catalogue', CATALOGUE];
/** Enough that held-out recall moves by more than chance; the seed makes every run the same. */
const NUM_PRODUCTS = 300;

interface Row {
  id: string;
  image: string;
  category: string;
  label: string;
  title: string;
}

let shop: Installation;
let files: DemoFiles;
let first: RetrainOutput;

const rowsOf = (path: string): Row[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

const retrain = (): Promise<RetrainOutput> =>
  shop.json<RetrainOutput>('retrain', ...IN, '--recipe', 'demo', '--set', 'train.epochs=6', '--wait');

// The tests of this file are the steps of one story and run in order.
describe('the main job through the command line', () => {
  beforeAll(() => {
    shop = createInstallation();
    files = writeDemoFiles(join(shop.dataDir, 'files'), NUM_PRODUCTS);
  });
  afterAll(() => shop.dispose());

  test('up --detach starts every process and returns when the API answers', async () => {
    const state = await shop.json<Awaited<ReturnType<Installation['state']>>>('up', '--detach');
    expect(state.status).toBe('ready');
    expect(state.processes.map(({ name }) => name)).toEqual([
      'temporal',
      'orchestrator-1',
      'trainer-1',
      'embedder-1',
      'searcher-1',
      'searcher-2',
      'api',
      'guardian',
    ]);
    expect(state.processes.every(({ process }) => process !== null && isAlive(process))).toBe(true);
    expect((await fetch(`${state.urls.api}/health/live`)).status).toBe(200);
  });

  test('a second up is refused with the process that runs', async () => {
    const { code, stdout } = await shop.cli('up', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'conflict' } });
  });

  test('items and examples are imported, and importing them again changes nothing', async () => {
    const [items, train, holdout] = [files.items, files.train, files.holdout];
    for (const { path, numRows, as } of [
      { ...items, as: 'items' },
      { ...train, as: 'train' },
      { ...holdout, as: 'holdout' },
    ]) {
      const summary = await shop.json<ImportSummary>('catalogue', 'import', path, '--as', as, ...IN);
      expect(summary).toMatchObject({ added: numRows, changed: 0, unchanged: 0, rejected: [] });
    }
    const again = await shop.json<ImportSummary>('catalogue', 'import', items.path, ...IN);
    expect(again).toMatchObject({ added: 0, changed: 0, unchanged: items.numRows });
  });

  test('retrain --wait ends with a serving generation that beats the untrained model', async () => {
    first = await retrain();
    expect(first.outcome).toBe('serving');
    expect(first.quality.candidate.numQueries).toBe(files.holdout.numRows);
    expect(first.quality.candidate.recall['1']).toBeGreaterThan(first.quality.pretrained.recall['1'] ?? 1);
  });

  test('search by picture, by item and by vector find the same picture first', async () => {
    const item = rowsOf(files.items.path)[17]!;
    const byImage = await shop.json<SearchAnswer>('search', '--image', item.image, ...IN, '--k', '5');
    expect(byImage.hits).toHaveLength(5);
    expect(byImage.hits[0]).toMatchObject({ id: item.id, category: item.category, title: item.title });
    expect(byImage.hits[0]?.score).toBeCloseTo(1, 4);
    expect(byImage.coverage.shardsAnswered).toBe(byImage.coverage.shardsAsked);

    const embedded = await shop.json<{ model: string }>('embed', item.image, ...IN);
    expect(embedded.model).toBe(byImage.model);
    const vectorFile = join(shop.dataDir, 'vector.json');
    writeFileSync(vectorFile, JSON.stringify(embedded));
    const byVector = await shop.json<SearchAnswer>('search', '--vector', vectorFile, ...IN, '--k', '5');
    expect(byVector.hits).toEqual(byImage.hits);

    const byId = await shop.json<SearchAnswer>(
      'search',
      '--id',
      item.id,
      ...IN,
      '--k',
      '5',
      '--category',
      item.category,
    );
    expect(byId.hits.every(({ category }) => category === item.category)).toBe(true);
  });

  test('a search groups products, counts values, re-ranks a part of a photo, and explains what answered', async () => {
    const item = rowsOf(files.items.path)[17]!;
    const ask = ['search', '--image', item.image, ...IN, '--k', '5', '--group-by', 'label', '--crop', '0,0,1,1'];
    const answer = await shop.json<SearchAnswer>(...ask, '--facet', 'category', '--diversity', '0.1', '--explain');
    expect(answer.hits[0]).toMatchObject({ id: item.id, group: { value: item.label } });
    expect(new Set(answer.hits.map(({ group }) => group?.value)).size).toBe(5);
    const counted = answer.facets![0]!.values.reduce((sum, { count }) => sum + count, 0);
    expect(counted).toBeGreaterThan(0);
    expect(counted).toBeLessThanOrEqual(files.items.numRows);
    expect(answer.crop).toMatchObject({ left: 0, top: 0 });
    const { shards } = answer.explanation!;
    expect(shards).toHaveLength(answer.coverage.shardsAsked);
    for (const one of shards)
      expect(one).toMatchObject({ answered: true, host: expect.stringContaining('searcher') as string });
    // The holdout pictures told what scores mean.
    const { probability } = answer.hits[0]!;
    expect(probability).toBeGreaterThan(0.3);
    const sure = await shop.json<SearchAnswer>(...ask, '--min-probability', String(probability));
    expect(sure.hits.every((hit) => hit.probability! >= probability!)).toBe(true);
    const next = await shop.json<SearchAnswer>(...ask, '--cursor', (await shop.json<SearchAnswer>(...ask)).nextCursor!);
    expect(next.hits.some(({ id }) => id === item.id)).toBe(false);
    expect(next.hits.length).toBeGreaterThan(0);
    const top = await shop.json<Top>('top', '--every', '0.3');
    expect(top.recall.map(({ catalogue }) => catalogue)).toEqual([CATALOGUE]);
    expect(top.recall[0]!.recallAt10).toBeGreaterThan(0.9);
  });

  test('similar items are searched live, then found in advance, with the same neighbours', async () => {
    const item = rowsOf(files.items.path)[17]!;
    const show = () => shop.json<SimilarAnswer>('similar', 'show', item.id, ...IN, '--k', '5');
    const live = await show();
    expect(live).toMatchObject({ source: 'live', generation: first.generation });
    const build = ['similar', 'build', ...IN, '--exact', '--near-duplicates', 'none', '--wait'];
    const built = await shop.json<SimilarItemsOutput>(...build);
    expect(built).toMatchObject({ numItems: files.items.numRows, numGroups: 0, reused: false });
    const found = await show();
    expect(found).toMatchObject({ source: 'batch', generation: first.generation });
    expect(found.hits.map(({ id }) => id)).toEqual(live.hits.map(({ id }) => id));
    expect(await shop.json<SimilarItemsOutput>(...build)).toMatchObject({ similar: built.similar, reused: true });
  });

  test.skipIf(chromiumPath === undefined)(
    'the page finds it too, by photo and by a click, in a real browser',
    async () => {
      const item = rowsOf(files.items.path)[17]!;
      const browser = await openBrowser();
      try {
        const page = await browser.context.newPage();
        await page.goto((await shop.state()).urls.page);
        const [results, cards] = [page.locator('#results-title'), page.locator('.card .title')];
        await cards.first().waitFor();
        await page.locator('#file').setInputFiles(item.image);
        await results.filter({ hasText: 'items like your photo' }).waitFor();
        expect(await cards.first().textContent()).toBe(item.title);
        expect(await page.locator('#answered').textContent()).toContain(first.model);
        await page.locator('.card').first().click();
        await results.filter({ hasText: `items like ${item.title}` }).waitFor();
        expect(await cards.allTextContents()).not.toContain(item.title);
      } finally {
        await browser.close();
      }
    },
  );

  test('eval of the serving model over the same files finds what the gate found', async () => {
    const args = [
      '--queries',
      files.holdout.path,
      '--catalogue',
      files.items.path,
      '--match',
      'label',
      '--in',
      CATALOGUE,
    ];
    const quality = await shop.json<RetrievalQuality & { model: string }>('eval', ...args, '--model', 'current');
    expect(quality.model).toBe(first.model);
    expect(quality.numQueries).toBe(files.holdout.numRows);
    expect(quality.recall['1']).toBeCloseTo(first.quality.candidate.recall['1'] ?? NaN, 6);
  });

  test('the lineage of the index leads to the model, the snapshot and the backbone weights', async () => {
    const { stdout } = await shop.cli('artifacts', 'lineage', first.index ?? '');
    for (const part of [first.model, 'snapshot-', 'embeddings-']) expect(stdout).toContain(part);
  });

  test('a second retrain over an unchanged catalogue reuses every artefact', async () => {
    expect(first.reused).toEqual([]);
    const second = await retrain();
    expect(second).toMatchObject({ outcome: 'serving', model: first.model, index: first.index });
    const steps = ['snapshot', 'backbone', 'features', 'train', 'evaluate', 'embed', 'index', 'serve'];
    expect(second.reused).toEqual(steps);
  });

  test('a new product is findable after the next retrain, which embeds only its picture', async () => {
    // Products beyond the limit are not in the catalogue yet.
    const known = new Set(rowsOf(files.items.path).map(({ label }) => label));
    const all = writeDemoFiles(join(shop.dataDir, 'all-files'));
    const fresh = rowsOf(all.items.path).find(({ label, id }) => !known.has(label) && id === label)!;
    const path = join(shop.dataDir, 'new.jsonl');
    writeFileSync(path, `${JSON.stringify(fresh)}\n`);
    expect(await shop.json('catalogue', 'import', path, ...IN)).toMatchObject({ added: 1 });

    const before = await planned();
    const output = await retrain();
    expect(output.outcome).toBe('serving');
    expect((await planned()) - before).toBe(1);
    const answer = await shop.json<SearchAnswer>('search', '--image', fresh.image, ...IN);
    expect(answer.hits[0]?.id).toBe(fresh.id);
  });

  test('a rollback answers from the generation before, in seconds, and promote brings the new one back', async () => {
    const { generations } = await shop.json<{ generations: Generation[] }>('generations', ...IN);
    const [newest, former] = generations as [Generation, Generation];
    expect([newest.status, former.status, former.number]).toEqual(['serving', 'retired', first.generation]);
    const [fresh] = rowsOf(join(shop.dataDir, 'new.jsonl'));
    const answeredBy = async () => {
      const { generation, model, hits } = await shop.json<SearchAnswer>('search', '--image', fresh!.image, ...IN);
      return { generation, model, first: hits[0]?.id };
    };
    const artifacts = () => shop.json<{ total: number }>('artifacts', 'list', '--limit', '1');
    const { total } = await artifacts();
    const back = await shop.json<Switched>('rollback', ...IN, '--reason', 'to see that it works');
    expect(back).toMatchObject({ generation: former.number, previous: newest.number, switched: true });
    // Routers look at the table every moment or two. What came after its snapshot is found beside its index.
    await expect
      .poll(answeredBy, { timeout: 20_000 })
      .toMatchObject({ generation: former.number, model: former.model, first: fresh!.id });

    const api = (await shop.state()).urls.api;
    const promoted = await fetch(`${api}/v1/catalogues/${CATALOGUE}/generations/${newest.number}/promote`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'it works' }),
    });
    expect(await promoted.json()).toMatchObject({ generation: newest.number, previous: former.number });
    await expect.poll(answeredBy, { timeout: 20_000 }).toMatchObject({ generation: newest.number, first: fresh!.id });
    // Nothing was made for it.
    expect(await artifacts()).toMatchObject({ total });
    const { switches } = await shop.json<{ switches: GenerationSwitch[] }>('generations', ...IN);
    expect(switches.slice(0, 2)).toMatchObject([
      { how: 'promote', generation: newest.number, reason: 'it works' },
      { how: 'rollback', generation: former.number, reason: 'to see that it works' },
    ]);
  });

  test('a schedule that watches for changes retrains once there are enough, and says so in the generation', async () => {
    await shop.json(
      'schedules',
      'set',
      CATALOGUE,
      '--changes',
      '1',
      '--check-every',
      '1s',
      '--recipe',
      'demo',
      '--set',
      'train.epochs=6',
    );
    const { schedules } = await shop.json<{ schedules: RetrainSchedule[] }>('schedules', 'list', ...IN);
    expect(schedules).toMatchObject([{ rule: { trigger: 'changes', numChanges: 1 }, paused: false }]);
    const [gone] = rowsOf(join(shop.dataDir, 'new.jsonl'));
    await shop.json('catalogue', 'remove', gone!.id, ...IN);
    const newest = async () => (await shop.json<{ generations: Generation[] }>('generations', ...IN)).generations[0];
    await expect.poll(newest, { timeout: 240_000, interval: 1000 }).toMatchObject({
      status: expect.stringMatching(/^(serving|rejected)$/) as string,
      metrics: { order: { trigger: 'changes', by: `schedule/${CATALOGUE}/changes` } },
    });
    await shop.json('schedules', 'delete', CATALOGUE, 'changes');
    expect(await shop.json('schedules', 'list')).toEqual({ schedules: [] });
  });

  test('down stops every process', async () => {
    const state = await shop.state();
    const pids = [state.supervisor, ...state.processes.map((row) => row.process)].filter((process) => process !== null);
    expect(pids.every(({ pid }) => identify(pid) !== undefined)).toBe(true);
    expect(await shop.json('down')).toMatchObject({ outcome: 'stopped' });
    expect(pids.filter(isAlive)).toEqual([]);
    expect(await shop.json('status')).toMatchObject({ status: 'stopped' });
  });
});

/** How many pictures all embedding plans of the backbone together list: what was really computed. */
async function planned(): Promise<number> {
  const { artifacts } = await shop.json<{ artifacts: { manifest: { summary: { numTodo?: number } } }[] }>(
    'artifacts',
    'list',
    '--kind',
    'embeddingPlan',
    '--limit',
    '1000',
  );
  return artifacts.reduce((sum, { manifest }) => sum + Number(manifest.summary.numTodo ?? 0), 0);
}
