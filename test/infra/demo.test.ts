import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, expect, test } from 'vitest';
import { drawRow, writeContactSheet } from '../../infra/demo/contact-sheet.ts';
import { writeDemoFiles } from '../../infra/demo/emoji.ts';

const folder = mkdtempSync(join(tmpdir(), 'lookalike-demo-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Row {
  id: string;
  label: string;
  image: string;
}
const rowsOf = (path: string): Row[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

test('the demo holds every emoji with its skin tones, and no query of a held-out product is learnt from', () => {
  const files = writeDemoFiles(join(folder, 'all'));
  const [items, train, holdout] = [files.items, files.train, files.holdout].map(({ path }) => rowsOf(path));
  expect(items!.length).toBeGreaterThan(3_700);
  expect(new Set(items!.map(({ id }) => id)).size).toBe(items!.length);
  const labels = new Set(items!.map(({ label }) => label));
  const learnt = new Set(train!.map(({ label }) => label));
  expect(holdout!.every(({ label }) => labels.has(label) && !learnt.has(label))).toBe(true);
  const pictures = new Set(train!.map(({ image }) => readFileSync(image, 'base64')));
  expect(holdout!.some(({ image }) => pictures.has(readFileSync(image, 'base64')))).toBe(false);
  expect(holdout!.length / (holdout!.length + train!.length)).toBeCloseTo(0.2, 1);
});

test('a smaller demo is a part of the whole one, split the same way', () => {
  const all = writeDemoFiles(join(folder, 'all'));
  const some = writeDemoFiles(join(folder, 'some'), 100);
  for (const part of ['items', 'train', 'holdout'] as const) {
    const whole = new Set(rowsOf(all[part].path).map(({ id }) => id));
    expect(rowsOf(some[part].path).every(({ id }) => whole.has(id))).toBe(true);
  }
});

test('the contact sheet frames right results and escapes titles', async () => {
  const picture = await sharp({ create: { width: 32, height: 32, channels: 3, background: 'black' } })
    .png()
    .toBuffer();
  const hit = (label: string) => ({ title: `<b>${label}`, label, score: 0.5, picture });
  const query = { title: 'q', label: 'a', picture, hits: [hit('a'), hit('b')] };
  const { data, info } = await sharp(await drawRow(query))
    .raw()
    .toBuffer({ resolveWithObject: true });
  const pixel = (x: number, y: number) => [...data.subarray((y * info.width + x) * info.channels).subarray(0, 3)];
  const cell = 88;
  const gap = 24;
  const frameX = (i: number) => i * cell + gap + 6;
  expect(pixel(frameX(1), cell / 2)).toEqual([46, 160, 67]);
  expect(pixel(frameX(2), cell / 2)).toEqual([255, 255, 255]);
  const paths = { png: join(folder, 's.png'), html: join(folder, 's.html') };
  await writeContactSheet([query, query], paths);
  expect((await sharp(paths.png).metadata()).height).toBe(2 * cell);
  expect(readFileSync(paths.html, 'utf8')).toContain('&lt;b>a');
});
