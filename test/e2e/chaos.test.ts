import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SearchAnswer } from '../../contracts/serving.ts';
import type { RetrainOutput, RetrainProgress } from '../../contracts/workflows.ts';
import { writeDemoFiles } from '../../infra/demo/emoji.ts';
import { signalProcess } from '../../infra/supervisor/process-identity.ts';
import type { ProcessRow } from '../../infra/supervisor/run-state.ts';
import { readRunState } from '../../infra/supervisor/run-state.ts';
import { randomOf } from '../../lib/train/random.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';

const CATALOGUE = 'shop';
const IN = ['--catalogue', CATALOGUE];
const SEED = Number(process.env.LOOKALIKE_CHAOS_SEED ?? 1);

/** Every kind of process, and the steps in one of which (drawn by the seed) it is killed. */
const VICTIMS: { name: string; during: string[] }[] = [
  { name: 'embedder-1', during: ['features'] },
  { name: 'trainer-1', during: ['train'] },
  { name: 'orchestrator-1', during: ['features', 'train'] },
  { name: 'temporal', during: ['features', 'train', 'embed'] },
  { name: 'searcher-1', during: ['features', 'train'] },
];
/** Long enough a training that the kills fall into it; checkpoints often, as each is a resume point. */
const RECIPE = ['--recipe', 'demo', '--set', 'train.patience=0', '--set', 'train.checkpointEverySteps=20'];

const first = (shop: Installation): Promise<RetrainOutput> =>
  shop.json<RetrainOutput>('retrain', ...IN, ...RECIPE, '--set', 'train.epochs=2', '--force', '--wait');
const second = (shop: Installation): Promise<RetrainOutput> =>
  shop.json<RetrainOutput>('retrain', ...IN, ...RECIPE, '--set', 'train.epochs=400', '--force', '--wait');

/** Generation 1 serves a small catalogue; then it grows, so that the next run has to embed, learn and index. */
async function prepare(shop: Installation): Promise<{ api: string; someIds: string[] }> {
  const { urls } = await shop.json<{ urls: { api: string } }>('up', '--detach');
  const small = await importProducts(shop, 80);
  expect(await first(shop)).toMatchObject({ outcome: 'serving', generation: 1 });
  await importProducts(shop, 240);
  return { api: urls.api, someIds: small.slice(0, 20) };
}

async function importProducts(shop: Installation, limit: number): Promise<string[]> {
  const files = writeDemoFiles(join(shop.dataDir, `files-${limit}`), limit);
  await shop.json('catalogue', 'import', files.items.path, ...IN);
  await shop.json('catalogue', 'import', files.train.path, ...IN, '--as', 'train');
  await shop.json('catalogue', 'import', files.holdout.path, ...IN, '--as', 'holdout');
  const lines = readFileSync(files.items.path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => (JSON.parse(line) as { id: string }).id);
}

/** Asks one question after the other until told to stop; keeps every answer and every failure. */
function askContinuously(api: string, ids: string[]): Asking {
  const answers: SearchAnswer[] = [];
  const failures: string[] = [];
  let isStopped = false;
  const asking = (async () => {
    for (let i = 0; !isStopped; i++) {
      try {
        const response = await fetch(`${api}/v1/catalogues/${CATALOGUE}/search`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ itemId: ids[i % ids.length], k: 5 }),
        });
        const text = await response.text();
        if (response.ok) answers.push(JSON.parse(text) as SearchAnswer);
        else failures.push(`query ${i}: ${response.status} ${text}`);
      } catch (error) {
        failures.push(`query ${i}: ${String(error)}`);
      }
      await sleep(40);
    }
  })();
  return {
    hasSeen: (generation) => answers.at(-1)?.generation === generation,
    async stop() {
      isStopped = true;
      await asking;
      return { answers, failures };
    },
  };
}

interface Asking {
  /** Whether the last answer came from that generation. */
  hasSeen(generation: number | null): boolean;
  stop(): Promise<{ answers: SearchAnswer[]; failures: string[] }>;
}

/** Kills each victim once, while the step drawn for it runs. Ends when all were killed or the run is over. */
async function wreak(shop: Installation, api: string, isOver: () => boolean): Promise<string[]> {
  const killed: string[] = [];
  await Promise.all(
    VICTIMS.map(async ({ name, during }) => {
      const random = randomOf('chaos', SEED, name);
      const step = during[Math.floor(random() * during.length)]!;
      while (!isOver() && !(await isRunning(api, step))) await sleep(30);
      await sleep(random() * 1_500);
      if (isOver()) return;
      const victim = processNamed(shop, name);
      if (victim?.process && signalProcess(victim.process, 'SIGKILL')) killed.push(`${name} during ${step}`);
    }),
  );
  return killed;
}

function processNamed(shop: Installation, name: string): ProcessRow | undefined {
  return readRunState({ dataDir: shop.dataDir })?.processes.find((row) => row.name === name);
}

async function isRunning(api: string, step: string): Promise<boolean> {
  try {
    const response = await fetch(`${api}/v1/catalogues/${CATALOGUE}/retrain`);
    const { steps } = (await response.json()) as Partial<RetrainProgress>;
    return steps?.some(({ name, status }) => name === step && status === 'running') === true;
  } catch {
    // Temporal may be the one that was killed a moment ago.
    return false;
  }
}

describe('a retrain in which every kind of process is killed once', () => {
  let calm: Installation;
  let stormy: Installation;

  beforeAll(() => {
    calm = createInstallation();
    stormy = createInstallation();
  });
  afterAll(async () => {
    await calm.dispose();
    await stormy.dispose();
  });

  test('ends with the model and index of an undisturbed one, and every query is answered meanwhile', async () => {
    await prepare(calm);
    const expected = await second(calm);
    await calm.cli('down');

    const { api, someIds } = await prepare(stormy);
    const asking = askContinuously(api, someIds);
    let isOver = false;
    const storm = wreak(stormy, api, () => isOver);
    const output = await second(stormy).finally(() => (isOver = true));
    const killed = await storm;
    // The API reads the routing twice a second: until then it may answer from the generation before.
    await expect.poll(() => asking.hasSeen(output.generation), { timeout: 10_000 }).toBe(true);
    const { answers, failures } = await asking.stop();

    console.log(`killed (seed ${SEED}): ${killed.join(', ')}; ${answers.length} queries answered`);
    expect(killed).toHaveLength(VICTIMS.length);
    expect(output.outcome).toBe('serving');
    expect({ model: output.model, index: output.index }).toEqual({ model: expected.model, index: expected.index });
    expect(output.quality).toEqual(expected.quality);

    expect(failures).toEqual([]);
    const generations = answers.map(({ generation }) => generation);
    expect(new Set(generations)).toEqual(new Set([1, output.generation]));
    expect(generations).toEqual([...generations].sort((a, b) => a - b));
    expect(answers.every(({ coverage }) => coverage.shardsAnswered === coverage.shardsAsked)).toBe(true);
    for (const { name } of VICTIMS) expect(processNamed(stormy, name)?.numRestarts, name).toBe(1);
  });
});
