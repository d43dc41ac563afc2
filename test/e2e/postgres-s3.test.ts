import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Artifact } from '../../contracts/artifacts.ts';
import type { ImportSummary } from '../../contracts/catalogue.ts';
import type { SearchAnswer } from '../../contracts/serving.ts';
import type { RetrainOutput } from '../../contracts/workflows.ts';
import { writeDemoFiles } from '../../infra/demo/emoji.ts';
import type { DemoFiles } from '../../infra/demo/emoji.ts';
import { isAlive, signalProcess } from '../../infra/supervisor/process-identity.ts';
import type { RunState } from '../../infra/supervisor/run-state.ts';
import { INSTALL_VERSITYGW, startS3, VERSITYGW } from '../infra/artifacts/versitygw.ts';
import { POSTGRES_BIN, startPostgres } from '../infra/registry/postgres.ts';
import type { TestPostgres } from '../infra/registry/postgres.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';

const IN = ['--catalogue', 'shop'];
const QUICK = ['--recipe', 'demo', '--set', 'train.epochs=2', '--set', 'numShards=2', '--set', 'gate.maxRecallDrop=1'];
const ALL_STEPS = ['snapshot', 'backbone', 'features', 'train', 'evaluate', 'embed', 'index', 'serve'];
const missing = [
  ...(POSTGRES_BIN === undefined ? ['apt-get install postgresql'] : []),
  ...(VERSITYGW === undefined ? [INSTALL_VERSITYGW] : []),
];
const why = missing.length === 0 ? '' : ` (skipped: ${missing.join('; ')})`;

// The tests of this file are the steps of one story and run in order.
describe.skipIf(missing.length > 0)(`the whole stack over PostgreSQL and S3${why}`, () => {
  let postgres: TestPostgres;
  let s3: Awaited<ReturnType<typeof startS3>>;
  let bucket: string;
  let shop: Installation;
  let files: DemoFiles;
  let trained: RetrainOutput;
  let before: SearchAnswer;

  beforeAll(async () => {
    postgres = await startPostgres();
    const folder = mkdtempSync(join(tmpdir(), 'lookalike-bucket-'));
    s3 = await startS3(folder);
    bucket = join(folder, s3.where.bucket);
    shop = createInstallation({
      DATABASE_URL: await postgres.createDatabase(),
      LOOKALIKE_ARTIFACTS: `s3://${s3.where.bucket}/${s3.where.prefix}`,
      LOOKALIKE_S3_ENDPOINT: s3.where.endpoint ?? '',
      LOOKALIKE_S3_REGION: s3.where.region,
      AWS_ACCESS_KEY_ID: s3.where.accessKeyId ?? '',
      AWS_SECRET_ACCESS_KEY: s3.where.secretAccessKey ?? '',
    });
    files = writeDemoFiles(join(shop.dataDir, 'files'), 60);
  });
  afterAll(async () => {
    await shop?.dispose();
    await s3?.stop();
    await postgres?.stop();
    if (bucket !== undefined) rmSync(join(bucket, '..'), { recursive: true, force: true });
  });

  const up = (): Promise<RunState> => shop.json<RunState>('up', '--detach');
  const retrain = (): Promise<RetrainOutput> => shop.json<RetrainOutput>('retrain', ...IN, ...QUICK, '--wait');
  const itemAt = (row: number): { id: string; image: string; category: string } => {
    const lines = readFileSync(files.items.path, 'utf8').trimEnd().split('\n');
    return JSON.parse(lines[row] ?? '') as { id: string; image: string; category: string };
  };
  const byPhoto = (image: string): Promise<SearchAnswer> =>
    shop.json<SearchAnswer>('search', '--image', image, ...IN, '--k', '5');

  test('imports a catalogue and retrains until the new generation serves', async () => {
    expect(await up()).toMatchObject({ status: 'ready' });
    for (const as of ['items', 'train', 'holdout'] as const) {
      const { path, numRows } = files[as];
      const summary = await shop.json<ImportSummary>('catalogue', 'import', path, '--as', as, ...IN);
      expect(summary).toMatchObject({ added: numRows, rejected: [] });
    }
    trained = await retrain();
    expect(trained).toMatchObject({ outcome: 'serving', generation: 1 });
  });

  test('finds a picture by photo, and its like by id within a category', async () => {
    const { id, image, category } = itemAt(7);
    before = await byPhoto(image);
    expect(before).toMatchObject({ model: trained.model, generation: 1 });
    expect(before.hits[0]?.id).toBe(id);
    expect(before.coverage).toEqual({ shardsAsked: 2, shardsAnswered: 2 });
    const like = await shop.json<SearchAnswer>('search', '--id', id, ...IN, '--category', category);
    expect(like.hits.length).toBeGreaterThan(0);
    expect(like.hits.every((hit) => hit.category === category && hit.id !== id)).toBe(true);
  });

  test('keeps rows in the database and bytes in the bucket, none beside them', async () => {
    const { artifacts } = await shop.json<{ artifacts: Artifact[] }>('artifacts', 'list', '--limit', '1000');
    const ids = artifacts.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([trained.model, trained.index]));
    const stored = readdirSync(join(bucket, s3.where.prefix, 'manifests'));
    expect(stored.sort()).toEqual(ids.map((id) => `${id}.json`).sort());
    expect(existsSync(join(shop.dataDir, 'artifacts'))).toBe(false);
    expect(readdirSync(shop.dataDir).filter((name) => name.includes('registry'))).toEqual([]);
  });

  test('answers as before after everything was killed with SIGKILL', async () => {
    const state = await shop.state();
    // The guardian first, or it would end the others in order.
    const rows = [...state.processes].sort((a, b) => Number(b.kind === 'guardian') - Number(a.kind === 'guardian'));
    const processes = [...rows.map((row) => row.process), state.supervisor].filter((process) => process !== null);
    const [guardian, ...others] = processes;
    for (const process of [guardian!, state.supervisor, ...others]) signalProcess(process, 'SIGKILL');
    await expect.poll(() => processes.filter(isAlive), { timeout: 30_000, interval: 50 }).toEqual([]);
    expect(await up()).toMatchObject({ status: 'ready' });
    // `up` is back when the API answers; the embedder, whose old address the registry still holds, comes up beside it.
    const after = await vi.waitFor(() => byPhoto(itemAt(7).image), { timeout: 60_000, interval: 500 });
    expect({ hits: after.hits, model: after.model, index: after.index, generation: after.generation }).toEqual({
      hits: before.hits,
      model: before.model,
      index: before.index,
      generation: before.generation,
    });
    expect(await retrain()).toMatchObject({ generation: 1, model: trained.model, reused: ALL_STEPS });
  });

  test('finds, filters and loses items that are put and deleted while it serves', async () => {
    const [line = ''] = readFileSync(files.train.path, 'utf8').split('\n');
    const { image } = JSON.parse(line) as { image: string };
    const source = join(shop.dataDir, 'files', 'changes.jsonl');
    const put = (...rows: object[]): Promise<unknown> => {
      writeFileSync(source, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      return shop.json('items', 'put', source, ...IN, '--wait');
    };
    const idsOf = ({ hits }: SearchAnswer): string[] => hits.map((hit) => hit.id);
    const bad = { id: 'bad', image: source };
    const answer = await put({ id: 'fresh', image, category: 'new', price: 5 }, bad);
    expect(answer).toMatchObject({ added: 1, rejected: [{ row: 2, id: 'bad' }] });
    expect(idsOf(await byPhoto(image))[0]).toBe('fresh');
    expect(await put({ id: 'fresh', image, category: 'new', price: 7 })).toMatchObject({ changed: 1, rejected: [] });
    const where = (price: string): Promise<SearchAnswer> =>
      shop.json<SearchAnswer>('search', '--image', image, ...IN, '--where', price);
    expect(idsOf(await where('price=7'))).toEqual(['fresh']);
    expect(idsOf(await where('price=5'))).toEqual([]);
    expect(await shop.json('items', 'delete', 'fresh', 'never', ...IN)).toMatchObject({ deleted: 1, absent: 1 });
    expect(idsOf(await byPhoto(image))).not.toContain('fresh');
    await expect
      .poll(() => shop.json('items', 'status', ...IN), { timeout: 20_000 })
      .toMatchObject({ numRows: 0, numWaiting: 0 });
  });
});
