import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { parquetWriteFile } from 'hyparquet-writer';
import sharp from 'sharp';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ImportSummary, RejectedRow } from '../../../contracts/catalogue.ts';
import { sha256Hex } from '../../../infra/artifacts/sha256.ts';
import { importCatalogue } from '../../../infra/import/import-catalogue.ts';
import type { ImportOptions, ImportProgress } from '../../../infra/import/import-catalogue.ts';
import type { Stores } from '../../../infra/stores.ts';
import { openTestStores } from '../artifacts/open-test-stores.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';

const picture = async (red: number): Promise<Buffer> =>
  sharp({ create: { width: 8, height: 8, channels: 3, background: { r: red, g: 0, b: 0 } } })
    .png()
    .toBuffer();

/** A folder with the given files; strings and buffers as they are. */
function folderOf(files: Record<string, string | Buffer>): string {
  const root = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

function run(stores: Stores, source: string, change: Partial<ImportOptions> = {}): Promise<ImportSummary> {
  return importCatalogue({ source, catalogue: 'c', as: 'items', stores, config: { imageHosts: [] }, ...change });
}

async function ids(stores: Stores): Promise<string[]> {
  return (await stores.registry.catalogue.listItems('c', { limit: 1_000 })).map(({ id }) => id);
}

describe('a folder', () => {
  test('of folders gives items by relative path, with the folder as category', async () => {
    const stores = await openTestStores();
    const red = await picture(1);
    const files = { 'shoe/a.png': red, 'bag/B.PNG': await picture(2), 'top.png': await picture(3) };
    const root = folderOf({ ...files, 'notes.txt': 'x', 'shoe/.DS_Store': 'x', 'shoe/ü ö.png': await picture(4) });
    const progress: ImportProgress[] = [];
    const summary = await run(stores, root, { onProgress: (now) => progress.push(now) });
    expect(summary).toEqual({ added: 4, changed: 0, unchanged: 0, rejected: [] });
    const items = await stores.registry.catalogue.listItems('c', { limit: 10 });
    expect(items.map(({ id, category }) => [id, category])).toEqual([
      ['bag/B.PNG', 'bag'],
      ['shoe/a.png', 'shoe'],
      ['shoe/ü ö.png', 'shoe'],
      ['top.png', null],
    ]);
    expect((await stores.blobs.get(items[1]!.image)).equals(red)).toBe(true);
    expect(progress.map(({ done, total }) => [done, total])).toEqual([1, 2, 3, 4].map((done) => [done, 4]));
  });

  test('as examples takes the folder as label, and says which pictures have none', async () => {
    const stores = await openTestStores();
    const root = folderOf({ 'shoe/a.png': await picture(1), 'top.png': await picture(2) });
    const summary = await run(stores, root, { as: { examples: 'holdout' } });
    expect(summary).toMatchObject({ added: 1, rejected: [{ row: 2, id: 'top.png' }] });
    const [example] = await stores.registry.catalogue.listExamples('c', { limit: 10 });
    expect(example).toMatchObject({ id: 'shoe/a.png', label: 'shoe', split: 'holdout' });
    expect(await ids(stores)).toEqual([]);
  });
});

describe('bad rows are reported one by one and the good ones taken', () => {
  test('in JSON lines with BOM, CRLF, blank lines and a last line without end', async () => {
    const stores = await openTestStores();
    const [one, two] = [await picture(1), await picture(2)];
    const good = JSON.stringify({
      id: 'good',
      image: 'a.png',
      category: 'shoe',
      title: 'x\u2028y',
      color: 'red',
      attributes: { n: 1 },
    });
    const lines: (string | Buffer)[] = [
      `\ufeff${good}`,
      '',
      '{"id": "cut',
      '[1]',
      JSON.stringify({ image: 'a.png' }),
      JSON.stringify({ id: 'no-image' }),
      JSON.stringify({ id: 'good', image: 'b.png' }),
      JSON.stringify({ id: 'missing', image: 'none.png' }),
      JSON.stringify({ id: 'text', image: 'text.png' }),
      JSON.stringify({ id: 'cut-off', image: 'half.png' }),
      JSON.stringify({ id: 'folder', image: '.' }),
      JSON.stringify({ id: 'url', image: 'http://127.0.0.1/x.png' }),
      JSON.stringify({ id: 'nul\0', image: 'a.png' }),
      JSON.stringify({ id: 'long', image: 'a.png', title: 'x'.repeat(2_000_000) }),
      Buffer.from([0x7b, 0xff, 0x7d]),
      JSON.stringify({ id: 'bad-category', image: 'a.png', category: ['x'] }),
      '   ',
      JSON.stringify({ id: 17, image: 'b.png', label: null }),
    ];
    const bytes = Buffer.concat(
      lines.flatMap((line, i) => [Buffer.from(line as string), Buffer.from(i === lines.length - 1 ? '' : '\r\n')]),
    );
    const root = folderOf({
      'rows.jsonl': bytes,
      'a.png': one,
      'b.png': two,
      'text.png': 'no picture',
      'half.png': two.subarray(0, two.length / 2),
    });
    const reported: RejectedRow[] = [];
    const progress: ImportProgress[] = [];
    const summary = await run(stores, join(root, 'rows.jsonl'), {
      onRejected: (row) => reported.push(row),
      onProgress: (now) => progress.push(now),
    });
    expect(await ids(stores)).toEqual(['17', 'good']);
    expect(summary).toMatchObject({ added: 2, changed: 0, unchanged: 0 });
    expect(reported).toEqual(summary.rejected);
    const reasons = summary.rejected
      .sort((a, b) => a.row - b.row)
      .map(({ row, id, reason }) => `${row} ${id}: ${reason}`);
    const expected = [
      /^3 null: Expected a JSON object/,
      /^4 null: Expected a row with id/,
      /^5 null: .*id:/,
      /^6 no-image: .*image:/,
      /^7 good: Expected each id once, got it before in row 1/,
      /^8 missing: .*none\.png/,
      /^9 text: /,
      /^10 cut-off: /,
      /^11 folder: .*no plain file/,
      /^12 url: .*LOOKALIKE_IMAGE_HOSTS/,
      /^13 nul.*NUL/s,
      /^14 null: Expected a line of at most 1048576 bytes/,
      /^15 null: Expected UTF-8/,
      /^16 bad-category: .*category/,
    ];
    expect(reasons).toHaveLength(expected.length);
    for (const [i, pattern] of expected.entries()) expect(reasons[i]).toMatch(pattern);
    expect(progress.at(-1)).toMatchObject({ done: 16, total: 16 });
    const [item] = await stores.registry.catalogue.getItems('c', ['good']);
    expect(item).toEqual({
      id: 'good',
      image: sha256Hex(one),
      category: 'shoe',
      label: null,
      title: 'x\u2028y',
      attributes: { color: 'red', n: 1 },
    });
  });

  test('in CSV with quotes, wrong column counts, a broken quote and bytes that are not UTF-8', async () => {
    const stores = await openTestStores();
    const root = folderOf({ 'a.png': await picture(1) });
    const text = [
      '\ufeff"id",image,title,attributes,price',
      'one,a.png,"Größe ""L"",\r\nrot","{""n"": 1}",9.50',
      '',
      'two,a.png',
      'three,a.png,,,',
      'four,a.png,,not json,',
      'five,a.png,ab"c,,',
      'six,a.png,,"[1]",',
      'seven,a.png,LATIN,,',
      'eight,a.png,after,,',
    ].join('\r\n');
    const bytes = Buffer.from(text.replace('LATIN', '\u0000LATIN'), 'utf8');
    bytes[bytes.indexOf(0)] = 0xe9;
    writeFileSync(join(root, 'rows.csv'), bytes);
    const summary = await run(stores, join(root, 'rows.csv'));
    expect(await ids(stores)).toEqual(['eight', 'one', 'three']);
    const [one] = await stores.registry.catalogue.getItems('c', ['one']);
    expect(one).toMatchObject({ title: 'Größe "L",\r\nrot', attributes: { n: 1, price: '9.50' }, category: null });
    const reasons = Object.fromEntries(summary.rejected.map(({ row, reason }) => [row, reason]));
    expect(reasons[5]).toMatch(/5 columns as in the header, got 2/);
    expect(reasons[7]).toMatch(/attributes/);
    expect(reasons[8]).toMatch(/CSV record/);
    expect(reasons[9]).toMatch(/attributes/);
    expect(reasons[10]).toMatch(/UTF-8/);
    expect(summary.rejected).toHaveLength(5);
  });

  test('in Parquet with numbers, structs and absent values', async () => {
    const stores = await openTestStores();
    const root = folderOf({ 'a.png': await picture(1) });
    const path = join(root, 'rows.parquet');
    parquetWriteFile({
      filename: path,
      columnData: [
        { name: 'id', data: [1n, 2n, 3n, 2n], type: 'INT64' },
        { name: 'image', data: ['a.png', 'none.png', 'a.png', 'a.png'], type: 'STRING' },
        { name: 'category', data: ['shoe', 'shoe', null, 'shoe'], type: 'STRING' },
        { name: 'stock', data: [5, 6, null, 7], type: 'INT32' },
      ],
    });
    const summary = await run(stores, path);
    expect(summary).toMatchObject({
      added: 2,
      rejected: [
        { row: 4, id: '2' },
        { row: 2, id: '2' },
      ],
    });
    const items = await stores.registry.catalogue.listItems('c', { limit: 10 });
    expect(items).toMatchObject([
      { id: '1', category: 'shoe', attributes: { stock: 5 } },
      { id: '3', category: null, attributes: {} },
    ]);
  });
});

describe('running again', () => {
  test('writes only what changed, and takes up what is new', async () => {
    const stores = await openTestStores();
    const rows = (...change: object[]) => change.map((row) => JSON.stringify(row)).join('\n');
    const [a, b, c] = [
      { id: 'a', image: 'a.png' },
      { id: 'b', image: 'b.png' },
      { id: 'c', image: 'b.png' },
    ];
    const root = folderOf({ 'a.png': await picture(1), 'b.png': await picture(2), 'rows.jsonl': rows(a, b) });
    const source = join(root, 'rows.jsonl');
    expect(await run(stores, source)).toMatchObject({ added: 2 });
    expect(await run(stores, source)).toMatchObject({ added: 0, changed: 0, unchanged: 2 });
    writeFileSync(source, rows({ ...a, title: 'new' }, b, c));
    expect(await run(stores, source)).toMatchObject({ added: 1, changed: 1, unchanged: 1 });
    writeFileSync(join(root, 'b.png'), await picture(9));
    expect(await run(stores, source)).toMatchObject({ added: 0, changed: 2, unchanged: 1 });
    writeFileSync(join(root, 'b.png'), 'no picture any more');
    expect(await run(stores, source)).toMatchObject({ unchanged: 1, rejected: [{ id: 'b' }, { id: 'c' }] });
    expect(await ids(stores)).toEqual(['a', 'b', 'c']);
  });

  test('after it was cancelled carries on, having kept what it had taken', async () => {
    const stores = await openTestStores();
    const red = await picture(1);
    const rows = Array.from({ length: 600 }, (_, i) => JSON.stringify({ id: `i${i}`, image: 'a.png' })).join('\n');
    const source = join(folderOf({ 'a.png': red, 'rows.jsonl': rows }), 'rows.jsonl');
    const controller = new AbortController();
    const cancelled = run(stores, source, {
      signal: controller.signal,
      onProgress: ({ done }) => done === 300 && controller.abort(),
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
    const kept = (await ids(stores)).length;
    expect(kept).toBeGreaterThanOrEqual(256);
    expect(kept).toBeLessThan(600);
    expect(await run(stores, source)).toMatchObject({ added: 600 - kept, unchanged: kept, rejected: [] });
  });

  test('a store that fails ends the import instead of blaming the rows', async () => {
    const stores = await openTestStores();
    const root = folderOf({ 'a.png': await picture(1) });
    const put = () => Promise.reject(new Error('disk full'));
    await expect(run({ ...stores, blobs: { ...stores.blobs, put } }, root)).rejects.toThrow('disk full');
  });
});

test('pictures may be absolute paths, links and URLs of allowed hosts', async () => {
  const stores = await openTestStores();
  const bytes = await picture(1);
  const root = folderOf({ 'a.png': bytes });
  symlinkSync(join(root, 'a.png'), join(root, 'link.png'));
  const server = createServer((_, response) => response.end(bytes)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const rows = [
    { id: 'absolute', image: join(root, 'a.png') },
    { id: 'link', image: 'link.png' },
    // Even an allowed host may not lead to a private address.
    { id: 'url', image: `http://127.0.0.1:${(server.address() as { port: number }).port}/` },
  ];
  writeFileSync(join(root, 'rows.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
  const summary = await run(stores, join(root, 'rows.jsonl'), { config: { imageHosts: ['127.0.0.1'] } });
  expect(summary).toMatchObject({ added: 2, rejected: [{ id: 'url', row: 3 }] });
  expect(summary.rejected[0]!.reason).toMatch(/public address, got 127.0.0.1/);
});

describe('a source that cannot be used as a whole is refused with what was expected', () => {
  test.each<[string, Record<string, string | Buffer>, string, RegExp]>([
    ['nothing there', {}, 'none.csv', /folder or file to import at .*found nothing/],
    ['an unknown extension', { 'rows.json': '[]' }, 'rows.json', /ends in \.csv, \.jsonl, \.ndjson, \.parquet/],
    ['a folder without pictures', { 'x.txt': '' }, '.', /Expected pictures \(\.jpg.*found none/],
    ['an empty JSONL file', { 'rows.jsonl': '\n \n' }, 'rows.jsonl', /Expected rows in .*empty/],
    ['an empty CSV file', { 'rows.csv': '' }, 'rows.csv', /Expected a header line with "id" and "image"/],
    ['a CSV file without header', { 'rows.csv': 'a,b\nc,d' }, 'rows.csv', /among them "id" and "image"; got a, b/],
    ['a doubled column', { 'rows.csv': 'id,image,id\n' }, 'rows.csv', /each column once/],
    ['UTF-16', { 'rows.csv': Buffer.from('\ufeffid,image', 'utf16le') }, 'rows.csv', /UTF-8 text, got UTF-16/],
    [
      'a file that is no Parquet',
      { 'rows.parquet': 'PAR1 nonsense PAR1' },
      'rows.parquet',
      /Parquet file at .*could not read/,
    ],
    ['an empty Parquet file', { 'rows.parquet': '' }, 'rows.parquet', /Parquet file at .*could not read/],
  ])('%s', async (_, files, name, message) => {
    const stores = await openTestStores();
    await expect(run(stores, join(folderOf(files), name))).rejects.toThrow(message);
    expect(await ids(stores)).toEqual([]);
  });

  test('a CSV quote that is never closed costs the rows it swallows, not those before', async () => {
    const stores = await openTestStores();
    const root = folderOf({
      'a.png': await picture(1),
      'rows.csv': `id,image\none,a.png\ntwo,"a.png\nthree,a.png\n${'x'.repeat(2_000_000)}`,
    });
    expect(statSync(join(root, 'rows.csv')).size).toBeGreaterThan(2_000_000);
    const summary = await run(stores, join(root, 'rows.csv'));
    expect(await ids(stores)).toEqual(['one']);
    expect(summary.rejected.length).toBeGreaterThan(0);
  });
});

test('a catalogue whose name could be part of another run’s id is refused before anything is read', async () => {
  const stores = await openTestStores();
  const taken = run(stores, folderOf({ 'a.png': await picture(1) }), { catalogue: 'emoji/train' });
  await expect(taken).rejects.toMatchObject({ code: 'invalidInput' });
  expect(await stores.registry.catalogue.catalogues()).toEqual([]);
  const absent = run(stores, '/does/not/exist', { catalogue: 'emoji/train' });
  await expect(absent).rejects.toMatchObject({ code: 'invalidInput' });
});
