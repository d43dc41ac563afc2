import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportSummary } from '../../contracts/catalogue.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';

let shop: Installation;
let folder: string;

/** What is fed in one row, and what must come back: a part of the reason, or null where the row is good. */
const ROWS: { given: string; reason: RegExp | null }[] = [
  { given: '{"id":"good","image":"good.png","category":"shoes"}', reason: null },
  { given: '{"id":"number","image":"good.png","category":7}', reason: null },
  { given: 'not json', reason: /JSON/ },
  { given: '[]', reason: /object|row/i },
  { given: '{"image":"good.png"}', reason: /id/ },
  { given: '{"id":"no-image"}', reason: /image/ },
  { given: '{"id":"","image":"good.png"}', reason: /id/ },
  { given: '{"id":"gone","image":"absent.png"}', reason: /absent\.png/ },
  { given: '{"id":"empty","image":"empty.png"}', reason: /empty|0 bytes|bytes/i },
  { given: '{"id":"text","image":"text.png"}', reason: /Expected jpeg, png/ },
  { given: '{"id":"cut","image":"cut.png"}', reason: /picture|image|decode|damaged/i },
  { given: '{"id":"huge","image":"huge.png"}', reason: /pixel limit|pixels/i },
  { given: '{"id":"folder","image":"."}', reason: /file|folder|directory/i },
  { given: '{"id":"local","image":"http://127.0.0.1:1/x.png"}', reason: /LOOKALIKE_IMAGE_HOSTS|host|allow/i },
  { given: '{"id":"scheme","image":"ftp://example.org/x.png"}', reason: /ftp|http|scheme|file/i },
  { given: '{"id":"good","image":"good.png"}', reason: /once/ },
  { given: '{"id":"odd","image":"good.png","attributes":"[1]"}', reason: /attributes/ },
];

describe('bad input', () => {
  beforeAll(async () => {
    shop = createInstallation();
    folder = join(shop.dataDir, 'bad');
    mkdirSync(folder, { recursive: true });
    const picture = (width: number, height: number): Promise<Buffer> =>
      sharp({ create: { width, height, channels: 3, background: 'teal' } })
        .png()
        .toBuffer();
    const good = await picture(64, 48);
    writeFileSync(join(folder, 'good.png'), good);
    writeFileSync(join(folder, 'cut.png'), good.subarray(0, 60));
    writeFileSync(join(folder, 'empty.png'), '');
    writeFileSync(join(folder, 'text.png'), 'I am no picture.');
    writeFileSync(join(folder, 'huge.png'), await picture(16_000, 16_000));
    writeFileSync(join(folder, 'rows.jsonl'), ROWS.map(({ given }) => `${given}\n`).join(''));
  });
  afterAll(() => shop.dispose());

  test('each bad row is named with its reason and never stops the good ones', async () => {
    const summary = await shop.json<ImportSummary>('catalogue', 'import', join(folder, 'rows.jsonl'));
    const bad = ROWS.map(({ reason }, i) => ({ row: i + 1, reason })).filter(({ reason }) => reason !== null);
    expect(summary.added).toBe(ROWS.length - bad.length);
    expect(summary.rejected.map(({ row }) => row).sort((a, b) => a - b)).toEqual(bad.map(({ row }) => row));
    for (const { row, reason } of bad) {
      expect(summary.rejected.find((rejected) => rejected.row === row)?.reason, ROWS[row - 1]?.given).toMatch(reason!);
    }
  });

  test.each<{ args: string[]; code: number; error: string }>([
    { args: ['catalogue', 'import', '/nowhere/at-all.csv'], code: 1, error: 'notFound' },
    { args: ['catalogue', 'import', 'package.json'], code: 1, error: 'invalidInput' },
    { args: ['catalogue', 'show', 'nothing-of-that-name'], code: 1, error: 'notFound' },
    { args: ['artifacts', 'show', 'model-0123'], code: 1, error: 'notFound' },
    { args: ['search', '--id', 'x', '--url', 'http://127.0.0.1:9'], code: 1, error: 'unavailable' },
    { args: ['search'], code: 1, error: 'invalidInput' },
    { args: ['search', '--id', 'x', '--k', 'many'], code: 2, error: 'invalidInput' },
    { args: ['retrain', '--recipe', 'no-such-recipe'], code: 1, error: 'invalidInput' },
    { args: ['retrain', '--set', 'train.epochs=-3'], code: 1, error: 'invalidInput' },
    { args: ['retrain', '--set', 'train.epoch=3'], code: 1, error: 'invalidInput' },
    { args: ['embed', '/nowhere.jpg'], code: 1, error: 'notFound' },
    { args: ['keys', 'revoke', 'nobody'], code: 1, error: 'notFound' },
    { args: ['no-such-command'], code: 2, error: 'invalidInput' },
  ])('lookalike $args ends with $code and $error', async ({ args, code, error }) => {
    const result = await shop.cli(...args, '--json');
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: error } });
    expect(result.code).toBe(code);
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });
});
