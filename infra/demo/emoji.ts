import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Example } from '../../contracts/catalogue.ts';

const require = createRequire(import.meta.url);

const Variation = z.object({ unified: z.string(), image: z.string(), has_img_google: z.boolean() });
const Emoji = Variation.extend({
  name: z.string(),
  category: z.string(),
  has_img_twitter: z.boolean(),
  skin_variations: z.record(z.string(), Variation).optional(),
});

/** Decides which products are held out; another salt, another draw. */
const SPLIT_SALT = 'lookalike-demo-1';
const HOLDOUT_SHARE = 0.2;

/** Files that `catalogue import` reads, and how many rows each has. */
export interface DemoFiles {
  items: { path: string; numRows: number };
  train: { path: string; numRows: number };
  holdout: { path: string; numRows: number };
}

interface DemoRow {
  id: string;
  image: string;
  category: string;
  label: string;
  title: string;
}

/**
 * The demo's catalogue: every emoji as Google draws it, skin tones as variants of one product, and the same products as
 * Twitter draws them as query pictures. The products of a fifth of the queries are held out: their queries are never learnt
 * from.
 * @param folder where the files are written; writing them again gives the same bytes
 * @param limit at most this many products, spread over all categories
 */
export function writeDemoFiles(folder: string, limit = Infinity): DemoFiles {
  const products = readEmoji('emoji-datasource-google').filter(
    (emoji) => emoji.has_img_google && emoji.has_img_twitter,
  );
  const stride = Math.max(1, products.length / limit);
  const chosen = products.filter((_, i) => Math.floor(i / stride) !== Math.floor((i - 1) / stride));
  const google = pictureFolder('emoji-datasource-google', 'google');
  const twitter = pictureFolder('emoji-datasource-twitter', 'twitter');
  const items = chosen.flatMap((emoji): DemoRow[] => {
    const variants = Object.values(emoji.skin_variations ?? {}).filter((variant) => variant.has_img_google);
    return [emoji, ...variants].map((variant) => rowOf(emoji, variant.unified, join(google, variant.image)));
  });
  const queriesOf = (emojis: typeof products, split: Example['split']): DemoRow[] =>
    emojis
      .map((emoji) => rowOf(emoji, emoji.unified, join(twitter, emoji.image)))
      .filter(({ label }) => splitOf(label) === split);
  // Some families look the same; a drawing that is learnt from under another name judges nobody.
  const learnt = new Set(queriesOf(products, 'train').map(({ image }) => hashOf(image)));
  const holdout = queriesOf(chosen, 'holdout').filter(({ image }) => !learnt.has(hashOf(image)));
  mkdirSync(folder, { recursive: true });
  return {
    items: writeRows(join(folder, 'items.jsonl'), items),
    train: writeRows(join(folder, 'train.jsonl'), queriesOf(chosen, 'train')),
    holdout: writeRows(join(folder, 'holdout.jsonl'), holdout),
  };
}

/** A product is held out or not by its own name, so that adding others moves nobody. */
function splitOf(label: string): Example['split'] {
  const draw = createHash('sha256').update(`${SPLIT_SALT}/${label}`).digest().readUInt32BE(0) / 2 ** 32;
  return draw < HOLDOUT_SHARE ? 'holdout' : 'train';
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function rowOf(emoji: z.output<typeof Emoji>, unified: string, image: string): DemoRow {
  return { id: unified, image, category: emoji.category, label: emoji.unified, title: emoji.name.toLowerCase() };
}

function readEmoji(name: string): z.output<typeof Emoji>[] {
  const path = join(packageFolder(name), 'emoji.json');
  return z.array(Emoji).parse(JSON.parse(readFileSync(path, 'utf8')));
}

function pictureFolder(name: string, style: string): string {
  return join(packageFolder(name), 'img', style, '64');
}

function packageFolder(name: string): string {
  return dirname(require.resolve(`${name}/package.json`));
}

function writeRows(path: string, rows: DemoRow[]): { path: string; numRows: number } {
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return { path, numRows: rows.length };
}
