import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import terminalImage from 'terminal-image';
import { isLookalikeError } from '../contracts/errors.ts';
import type { SearchAnswer } from '../contracts/serving.ts';
import type { RunState } from '../infra/supervisor/run-state.ts';
import { drawRow, writeContactSheet } from '../infra/demo/contact-sheet.ts';
import type { ShownQuery } from '../infra/demo/contact-sheet.ts';
import { postJson } from './api-client.ts';
import { withStores } from './run-command.ts';
import type { CommandContext } from './run-command.ts';

const NUM_QUERIES = 12;
/** Rows shown in the terminal; the contact sheet has all. */
const NUM_IN_TERMINAL = 4;
const K = 8;
/** After a restart the index workers load their shards again; until then the API says so. */
const SERVING_WITHIN_MS = 90_000;

interface HoldoutRow {
  image: string;
  label: string;
  title: string;
}

/** Asks the API for a few held-out queries, spread over the file, and shows the answers as pictures. */
export async function showQueries(
  context: CommandContext,
  demo: { catalogue: string; holdout: string; folder: string; state: RunState },
): Promise<{ png: string; html: string }> {
  const rows = (await readFile(demo.holdout, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as HoldoutRow);
  const chosen = Array.from(
    { length: Math.min(NUM_QUERIES, rows.length) },
    (_, i) => rows[Math.floor((i * rows.length) / Math.min(NUM_QUERIES, rows.length))],
  ).filter((row) => row !== undefined);
  const queries: ShownQuery[] = [];
  for (const row of chosen) queries.push(await ask(context, demo, row));
  const paths = { png: join(demo.folder, 'contact-sheet.png'), html: join(demo.folder, 'contact-sheet.html') };
  await writeContactSheet(queries, paths);
  if (process.stdout.isTTY && !context.json) await showInTerminal(queries.slice(0, NUM_IN_TERMINAL));
  return paths;
}

async function ask(
  context: CommandContext,
  { catalogue, state }: { catalogue: string; state: RunState },
  row: HoldoutRow,
): Promise<ShownQuery> {
  const picture = await readFile(row.image);
  const target = { url: state.urls.api, key: context.config.api.key };
  const path = `/v1/catalogues/${catalogue}/search`;
  const answer = await untilServing(
    () => postJson(target, path, { imageBase64: picture.toString('base64'), k: K }, context.signal),
    context.signal,
  );
  const { hits } = answer as SearchAnswer;
  return withStores(context, async ({ registry, blobs }) => {
    const items = await registry.catalogue.getItems(
      catalogue,
      hits.map(({ id }) => id),
    );
    const shown = items.map(async (item) => ({
      title: item.title ?? item.id,
      label: item.label ?? '',
      score: hits.find(({ id }) => id === item.id)?.score ?? 0,
      picture: await blobs.get(item.image),
    }));
    return { title: row.title, label: row.label, picture, hits: await Promise.all(shown) };
  });
}

async function untilServing<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const deadline = performance.now() + SERVING_WITHIN_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isLookalikeError(error) || !error.retryable || performance.now() > deadline) throw error;
      await sleep(500, undefined, { signal });
    }
  }
}

/** Real pictures in Kitty, iTerm and the like, coloured half blocks elsewhere. */
async function showInTerminal(queries: ShownQuery[]): Promise<void> {
  for (const query of queries) {
    const best = query.hits[0];
    process.stdout.write(`\n${query.title} → ${best?.title ?? 'nothing'} (${best?.score.toFixed(3) ?? '-'})\n`);
    process.stdout.write(await terminalImage.buffer(await drawRow(query), { height: 8 }));
  }
  process.stdout.write('\n');
}
