import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import type { ApiOptions } from '../../api/app.ts';
import { BulkAnswerDto, ChangesStatusDto, WriteAnswerDto } from '../../api/items/items.dto.ts';
import type { ApiPorts } from '../../api/ports.ts';
import type { Problem } from '../../api/problem.ts';
import type { DeltaStatus } from '../../contracts/changes.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { openRegistry } from '../../infra/registry/registry.ts';
import type { SqlRegistry } from '../../infra/registry/registry.ts';
import { temporaryFolder } from '../infra/artifacts/temporary-folder.ts';
import { READ_KEY, WRITE_KEY, World, strict } from './fakes.ts';
import { encodeForm } from './form.ts';

let registry: SqlRegistry;
let app: NestFastifyApplication;
let status: DeltaStatus | undefined;
const stored = new Map<string, Buffer>();

const pictureOf = (colour: string): Promise<Buffer> =>
  sharp({ create: { width: 8, height: 8, channels: 3, background: colour } })
    .png()
    .toBuffer();
const red = await pictureOf('red');
const blue = await pictureOf('blue');

beforeEach(async () => {
  registry = await openRegistry({ dataDir: temporaryFolder(), databaseUrl: null }, () =>
    Promise.resolve({ dim: 4, numShards: 1 }),
  );
  status = undefined;
  stored.clear();
  await start();
});
afterEach(async () => {
  await app.close();
  await registry.close();
});

async function start(options: Partial<ApiOptions> = {}): Promise<void> {
  const world = new World();
  const ports = world.ports();
  app = await createApp(
    {
      ...ports,
      registry: { ...registry, apiKeys: ports.registry.apiKeys },
      blobs: strict<ApiPorts['blobs']>('blobs', {
        put: async (bytes) => {
          const sha256 = createHash('sha256').update(bytes).digest('hex');
          stored.set(sha256, Buffer.from(bytes));
          return sha256;
        },
      }),
      fetchImage: (url, signal) =>
        url.includes('away')
          ? Promise.reject(new LookalikeError('unavailable', 'Expected the host to answer, but it does not.'))
          : ports.fetchImage(url, signal),
      searcher: strict<ApiPorts['searcher']>('searcher', {
        deltaStatus: async () => status && { ...status, generation: 1 },
      }),
    },
    { auth: 'off', ...options },
  );
}

type Headers = Record<string, string>;
const itemUrl = (id: string): string => `/v1/catalogues/shop/items/${encodeURIComponent(id)}`;

async function put(id: string, item: object, headers: Headers = {}, query = ''): Promise<WriteAnswerDto> {
  const response = await app.inject({ method: 'PUT', url: itemUrl(id) + query, payload: item, headers });
  expect(response.statusCode, response.body).toBe(200);
  return WriteAnswerDto.schema.parse(response.json());
}
async function remove(id: string, headers: Headers = {}): Promise<WriteAnswerDto> {
  const response = await app.inject({ method: 'DELETE', url: itemUrl(id), headers });
  expect(response.statusCode, response.body).toBe(200);
  return WriteAnswerDto.schema.parse(response.json());
}
async function bulk(lines: readonly unknown[], headers: Headers = {}): Promise<BulkAnswerDto> {
  const payload = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  const response = await app.inject({
    ...{ method: 'POST', url: '/v1/catalogues/shop/items', payload },
    headers: { 'content-type': 'application/x-ndjson', ...headers },
  });
  expect(response.statusCode, response.body).toBe(200);
  return BulkAnswerDto.schema.parse(response.json());
}
async function refused(request: Parameters<NestFastifyApplication['inject']>[0]): Promise<Problem> {
  const response = await app.inject(request);
  expect(response.headers['content-type']).toContain('application/problem+json');
  return response.json();
}
const items = () => registry.catalogue.listItems('shop', { limit: 100 });
const base64 = (picture: Buffer): string => picture.toString('base64');

describe('writes of items', () => {
  it('make, replace and delete one, numbered; without a picture an item keeps its own', async () => {
    const price = (value: number): object => ({ category: 'shoe', attributes: { price: value } });
    expect(await put('a/1', { imageBase64: base64(red), ...price(1) })).toEqual({
      id: 'a/1',
      outcome: 'added',
      seq: 1,
    });
    expect(await put('a/1', price(1))).toEqual({ id: 'a/1', outcome: 'unchanged', seq: 1 });
    expect(await put('a/1', price(2))).toEqual({ id: 'a/1', outcome: 'changed', seq: 2 });
    const [item] = await items();
    expect(item).toMatchObject({ id: 'a/1', category: 'shoe', title: null, attributes: { price: 2 } });
    expect(stored.get(item!.image)).toEqual(red);
    const form = await encodeForm({ image: blue, attributes: '{"price": 3}', title: 'Blue' });
    const response = await app.inject({ method: 'PUT', url: itemUrl('a/1'), ...form });
    expect(response.json()).toEqual({ id: 'a/1', outcome: 'changed', seq: 3 });
    const [replaced] = await items();
    expect(replaced).toMatchObject({ category: null, title: 'Blue', attributes: { price: 3 } });
    expect(stored.get(replaced!.image)).toEqual(blue);
    expect(await remove('a/1')).toEqual({ id: 'a/1', outcome: 'deleted', seq: 4 });
    expect(await remove('a/1')).toEqual({ id: 'a/1', outcome: 'absent', seq: 4 });
    expect(await items()).toEqual([]);
  });

  it('are refused with the reason, and leave everything as it is', async () => {
    const bad = (payload: object): Promise<Problem> => refused({ method: 'PUT', url: itemUrl('a'), payload });
    expect(await bad({})).toMatchObject({ status: 400, detail: expect.stringContaining('a picture') as string });
    expect(await bad({ price: 1 })).toMatchObject({ status: 400, detail: expect.stringContaining('price') as string });
    expect(await bad({ imageBase64: base64(red), imageUrl: 'x' })).toMatchObject({ status: 400 });
    expect(await bad({ imageBase64: 'AAAA' })).toMatchObject({ status: 422, code: 'imageRejected' });
    expect(await bad({ imageBase64: base64(red.subarray(0, -20)) })).toMatchObject({ code: 'imageRejected' });
    expect(await bad({ imageUrl: 'https://elsewhere.example/a.png' })).toMatchObject({ code: 'forbiddenUrl' });
    expect(await bad({ imageBase64: base64(red), title: 'x\0' })).toMatchObject({ status: 400 });
    expect(await bad({ imageBase64: base64(red), attributes: { x: 'y'.repeat(70_000) } })).toMatchObject({
      detail: expect.stringContaining('65536') as string,
    });
    const long = { method: 'PUT' as const, url: itemUrl('x'.repeat(513)), payload: { imageBase64: base64(red) } };
    expect(await refused(long)).toMatchObject({ status: 400 });
    expect(await items()).toEqual([]);
    expect(await registry.changes.lastSeq('shop')).toBe(0);
  });

  it('in bulk are taken in order and together, bad lines left out one by one', async () => {
    const answer = await bulk([
      { id: 'a', imageBase64: base64(red) },
      'not json',
      { id: 'b', imageBase64: 'AAAA' },
      '',
      { id: 'c', imageBase64: base64(blue), category: 'bag' },
      { delete: 'a' },
      { delete: 'a' },
      { id: 'c', category: 'shoe' },
      { id: 'new' },
      { delete: 'c', title: 'x' },
      { id: 'away', imageUrl: 'https://away.example/a.png' },
    ]);
    expect(answer).toMatchObject({ seq: 4, added: 2, changed: 1, unchanged: 0, deleted: 1, absent: 1 });
    expect(answer.rejected.map(({ line, id }) => [line, id])).toEqual([
      [2, null],
      [3, 'b'],
      [9, 'new'],
      [10, null],
      [11, 'away'],
    ]);
    expect(answer.rejected.every(({ reason }) => reason.startsWith('Expected'))).toBe(true);
    expect(await items()).toMatchObject([{ id: 'c', category: 'shoe' }]);
    const one = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/items', payload: { delete: 'c' } });
    expect(one.json()).toMatchObject({ seq: 5, deleted: 1, rejected: [] });
  });

  it('refuse a body that is empty, too long or of another type', async () => {
    const send = (payload: string, type = 'application/x-ndjson'): Promise<Problem> =>
      refused({ method: 'POST', url: '/v1/catalogues/shop/items', payload, headers: { 'content-type': type } });
    expect(await send('\n\n')).toMatchObject({ status: 400 });
    expect(await send('{"delete":"a"}\n'.repeat(10_001))).toMatchObject({ status: 400 });
    expect(await send('{}', 'text/plain')).toMatchObject({ status: 415 });
    expect(await send(' '.repeat(16 * 1024 * 1024))).toMatchObject({ status: 413 });
    const notHere = { method: 'PUT' as const, url: itemUrl('a'), payload: '{}' };
    const headers = { 'content-type': 'application/x-ndjson' };
    expect(await refused({ ...notHere, headers })).toMatchObject({ status: 415 });
  });

  it('that come again with their key are answered as before and write nothing', async () => {
    const key = { 'idempotency-key': 'k1' };
    const item = { imageBase64: base64(red) };
    const first = await put('a', item, key);
    await remove('a');
    expect(await put('a', item, key)).toEqual(first);
    expect(await items()).toEqual([]);
    const other = { method: 'PUT' as const, url: itemUrl('a'), payload: { ...item, title: 'x' }, headers: key };
    expect(await refused(other)).toMatchObject({ status: 409, code: 'conflict' });
    expect(await refused({ ...other, url: itemUrl('b'), payload: item })).toMatchObject({ status: 409 });
    const lines = [{ id: 'b', imageBase64: base64(red) }, 'bad'];
    const many = await bulk(lines, { 'idempotency-key': 'k2' });
    expect(await bulk(lines, { 'idempotency-key': 'k2' })).toEqual(many);
    expect(many.rejected).toHaveLength(1);
    expect(await refused({ ...other, headers: { 'idempotency-key': 'has space' } })).toMatchObject({ status: 400 });
  });

  it('wait until they are searched where that is asked for, and are measured', async () => {
    status = { searchableSeq: 0, numWaiting: 1, numRows: 5 };
    expect(await put('a', { imageBase64: base64(red) }, {}, '?waitMs=120')).toMatchObject({ searchable: false });
    const waiting = put('a', { title: 'x' }, {}, '?waitMs=10000');
    setTimeout(() => (status = { searchableSeq: 2, numWaiting: 0, numRows: 6 }), 100);
    expect(await waiting).toEqual({ id: 'a', outcome: 'changed', seq: 2, searchable: true });
    const metrics = (await app.inject('/metrics')).body;
    expect(metrics).toContain('lookalike_item_searchable_seconds_count 2');
    expect(metrics).toContain('lookalike_item_writes_total{outcome="added"} 1');
    expect(metrics).toContain('lookalike_delta_items{catalogue="shop",state="searched"} 6');
    const changes = await app.inject('/v1/catalogues/shop/changes');
    expect(ChangesStatusDto.schema.parse(changes.json())).toEqual({
      ...{ seq: 2, searchableSeq: 2, numWaiting: 0, numRows: 6, generation: 1 },
    });
  });

  it('need a key that may write, and are not held to the small limit of writes', async () => {
    await app.close();
    await start({ auth: 'required', limits: { writesPerMinute: 2 } });
    const request = { method: 'PUT' as const, url: itemUrl('a'), payload: { imageBase64: base64(red) } };
    expect(await refused(request)).toMatchObject({ status: 401 });
    expect(await refused({ ...request, headers: { 'x-api-key': READ_KEY } })).toMatchObject({ status: 403 });
    const deletion = { method: 'DELETE' as const, url: itemUrl('a'), headers: { 'x-api-key': READ_KEY } };
    expect(await refused(deletion)).toMatchObject({ status: 403 });
    for (let i = 0; i < 5; i++) await put('a', { imageBase64: base64(red) }, { 'x-api-key': WRITE_KEY });
    expect(await items()).toHaveLength(1);
  });
});
