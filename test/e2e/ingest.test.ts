import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SearchAnswer } from '../../contracts/serving.ts';
import type { RetrainOutput } from '../../contracts/workflows.ts';
import { writeDemoFiles } from '../../infra/demo/emoji.ts';
import { signalProcess } from '../../infra/supervisor/process-identity.ts';
import { readRunState } from '../../infra/supervisor/run-state.ts';
import { randomOf } from '../../lib/train/random.ts';
import { ChangeStream } from './change-stream.ts';
import type { Known } from './change-stream.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';

const CATALOGUE = 'shop';
const IN = ['--catalogue', CATALOGUE];
const SEED = Number(process.env.LOOKALIKE_CHAOS_SEED ?? 1);
/** How long changes stream in while processes are killed. */
const STORM_MS = Number(process.env.LOOKALIKE_STORM_MS ?? 60_000);
const NUM_WRITERS = 3;
/** Each is killed in turn, in an order drawn by the seed, again and again. */
const VICTIMS = ['api', 'searcher-1', 'searcher-2', 'embedder-1', 'orchestrator-1', 'temporal', 'trainer-1'];
const RECIPE = ['--recipe', 'demo', '--set', 'train.epochs=2', '--set', 'numReplicas=2', '--force', '--wait'];

let shop: Installation;
let api: string;
const soon = { timeout: 120_000, interval: 200 };

beforeAll(async () => {
  shop = createInstallation({ LOOKALIKE_RATE_LIMIT: '1000000' });
  ({
    urls: { api },
  } = await shop.json<{ urls: { api: string } }>('up', '--detach'));
  const files = writeDemoFiles(join(shop.dataDir, 'files'), 60);
  await shop.json('catalogue', 'import', files.items.path, ...IN);
  await shop.json('catalogue', 'import', files.train.path, ...IN, '--as', 'train');
  expect(await retrain()).toMatchObject({ outcome: 'serving', generation: 1 });
});
afterAll(() => shop.dispose());

const retrain = (): Promise<RetrainOutput> => shop.json<RetrainOutput>('retrain', ...IN, ...RECIPE);

/** Whoever follows a run may lose Temporal for longer than they are patient; the run goes on, and is followed again. */
async function retrainInTheStorm(isOver: () => boolean): Promise<RetrainOutput> {
  for (;;) {
    const { code, stdout } = await shop.cli('retrain', ...IN, ...RECIPE, '--json');
    const result = JSON.parse(stdout) as RetrainOutput & { error?: { code: string } };
    if (code === 0) return result;
    if (result.error?.code !== 'unavailable' || isOver()) throw new Error(stdout);
    await sleep(500);
  }
}

async function ask(body: object): Promise<SearchAnswer> {
  const response = await fetch(`${api}/v1/catalogues/${CATALOGUE}/search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as SearchAnswer;
}

async function kill(random: () => number, isOver: () => boolean): Promise<Record<string, number>> {
  const killed: Record<string, number> = {};
  while (!isOver()) {
    for (const name of [...VICTIMS].sort(() => random() - 0.5)) {
      await sleep(1_000 + random() * 2_000);
      if (isOver()) break;
      const victim = readRunState({ dataDir: shop.dataDir })?.processes.find((row) => row.name === name);
      if (victim?.process && signalProcess(victim.process, 'SIGKILL')) killed[name] = (killed[name] ?? 0) + 1;
    }
  }
  return killed;
}

interface Found {
  startedAt: number;
  endedAt: number;
  ids: string[];
}

/** Searches without a pause; what fails while its processes are being killed is counted, what is answered is judged later. */
async function askContinuously(
  random: () => number,
  isOver: () => boolean,
): Promise<{ found: Found[]; failed: number }> {
  const found: Found[] = [];
  let failed = 0;
  const vector = (length: number): number[] => Array.from({ length }, () => random() - 0.5);
  const listed = await fetch(`${api}/v1/catalogues`);
  const { catalogues } = (await listed.json()) as { catalogues: { serving: { dim: number } }[] };
  const { dim } = catalogues[0]!.serving;
  while (!isOver()) {
    const startedAt = performance.now();
    try {
      const { hits } = await ask({ vector: vector(dim), k: 200 });
      found.push({ startedAt, endedAt: performance.now(), ids: hits.map(({ id }) => id) });
    } catch {
      failed++;
    }
    await sleep(50);
  }
  return { found, failed };
}

/** What every writer was told is true of the catalogue, of every search, and of filters; nothing is there twice. */
async function checkAll(streams: readonly ChangeStream[], numOthers: number): Promise<void> {
  const seq = Math.max(...streams.map(({ stats }) => stats.seq));
  const searchable = async (): Promise<number> => {
    const response = await fetch(`${api}/v1/catalogues/${CATALOGUE}/changes`).catch(() => undefined);
    return response?.ok === true ? ((await response.json()) as { searchableSeq: number }).searchableSeq : -1;
  };
  await expect.poll(searchable, soon).toBeGreaterThanOrEqual(seq);

  const known = new Map(streams.flatMap((stream) => [...stream.known]));
  const live = [...known].filter(([, { deleted }]) => !deleted);
  const page = await fetch(`${api}/v1/catalogues/${CATALOGUE}/items?limit=1000&category=stream`);
  const { items } = (await page.json()) as { items: { id: string; attributes: { rev: number } }[] };
  const recorded = new Map(items.map(({ id, attributes }) => [id, attributes.rev]));
  expect(recorded).toEqual(new Map(live.map(([id, { rev }]) => [id, rev])));

  const some = live[0]![1];
  const everything = await ask({ imageBase64: some.picture.toString('base64'), k: 1000, exact: true });
  const ids = everything.hits.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toHaveLength(live.length + numOthers);
  expect(new Set(ids.filter((id) => known.has(id)))).toEqual(new Set(live.map(([id]) => id)));

  for (const [id, state] of known) await checkItem(id, state);
  const writers = Map.groupBy(live, ([, { rev }]) => rev);
  for (const rev of [...writers.keys()].slice(0, 20)) {
    const body = { imageBase64: some.picture.toString('base64'), k: 1000, category: 'stream', filter: { rev } };
    const hits = new Set((await ask(body)).hits.map((hit) => hit.id));
    expect(hits, `filter rev=${rev}`).toEqual(new Set(writers.get(rev)!.map(([one]) => one)));
  }
}

async function checkItem(id: string, { picture, deleted, rev }: Known): Promise<void> {
  const { hits } = await ask({ imageBase64: picture.toString('base64'), k: 3, exact: true });
  if (deleted) expect(hits.map((hit) => hit.id)).not.toContain(id);
  else {
    expect(hits[0], id).toMatchObject({ id, attributes: { rev } });
    // The same picture by the same model: what differs is rounding.
    expect(hits[0]!.score).toBeGreaterThan(0.999);
  }
}

describe('a stream of changes while every kind of process is killed again and again', () => {
  test('loses nothing that was acknowledged, finds nothing deleted, and is taken into the next generation', async () => {
    const others = (await shop.json<{ catalogues: { numItems: number }[] }>('catalogue', 'list')).catalogues[0]!;
    const random = (name: string): (() => number) => randomOf('ingest', SEED, name);
    const streams = Array.from(
      { length: NUM_WRITERS },
      (_, i) => new ChangeStream(api, CATALOGUE, `w${i}`, random(`writer ${i}`)),
    );
    let isOver = false;
    let isCalm = false;
    const writing = streams.map((stream) => stream.run(() => isOver, 60));
    const asking = askContinuously(random('queries'), () => isOver);
    const killing = kill(random('kills'), () => isCalm);
    // Compaction in the middle of it all: the next generation is made, and comes to serve, while changes come.
    await sleep(STORM_MS / 4);
    const second = retrainInTheStorm(() => isOver);
    await sleep((STORM_MS * 3) / 4);
    isCalm = true;
    await second.finally(() => (isOver = true));
    await Promise.all(writing);
    const killed = await killing;
    const { found, failed } = await asking;
    const acknowledged = streams.reduce((sum, { stats }) => sum + stats.acknowledged, 0);
    const repeated = streams.reduce((sum, { stats }) => sum + stats.repeated, 0);
    console.log(
      `seed ${SEED}: ${acknowledged} changes acknowledged, ${repeated} requests sent again; killed ${JSON.stringify(killed)}; ` +
        `${found.length} searches answered, ${failed} failed`,
    );
    for (const name of VICTIMS) expect(killed[name], name).toBeGreaterThan(0);
    expect(acknowledged).toBeGreaterThan(100);
    expect(found.length).toBeGreaterThan(50);
    expect(await second).toMatchObject({ outcome: 'serving' });

    const deletions = streams.flatMap((stream) => [
      ...stream.deletions,
      ...[...stream.known].flatMap(([id, { deleted, ackedAt }]) =>
        deleted ? [{ id, ackedAt, revivedAt: Infinity }] : [],
      ),
    ]);
    expect(deletions.length).toBeGreaterThan(10);
    for (const { startedAt, endedAt, ids } of found) {
      for (const { id, ackedAt, revivedAt } of deletions) {
        if (startedAt > ackedAt && endedAt < revivedAt) expect(ids).not.toContain(id);
      }
    }
    await checkAll(streams, others.numItems);

    // Nothing changes any more: the next generation holds everything, and nothing is left beside its index.
    const { outcome, generation } = await retrain();
    expect(outcome).toBe('serving');
    expect(generation).toBeGreaterThan((await second).generation);
    const rows = async (): Promise<unknown> => await (await fetch(`${api}/v1/catalogues/${CATALOGUE}/changes`)).json();
    await expect.poll(rows, soon).toMatchObject({ numRows: 0, numWaiting: 0, generation });
    await checkAll(streams, others.numItems);
  });
});
