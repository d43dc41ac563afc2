import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import type { Problem } from '../../api/problem.ts';
import { PNG, World, fruitsAndCars } from './fakes.ts';
import { encodeForm } from './form.ts';

const BODY_LIMIT = 64 * 1024;

let world: World;
let app: NestFastifyApplication;
beforeAll(async () => {
  world = new World(fruitsAndCars());
  app = await createApp(world.ports(), { auth: 'off', limits: { bodyBytes: BODY_LIMIT, imageBytes: BODY_LIMIT / 2 } });
});
afterAll(() => app.close());

type Sent = Parameters<NestFastifyApplication['inject']>[0] & object;

const SEARCH = '/v1/catalogues/shop/search';
const json = (payload: unknown, url = SEARCH): Sent => ({
  method: 'POST',
  url,
  payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  headers: { 'content-type': 'application/json' },
});

async function send(sent: Sent): Promise<{ status: number; problem: Problem }> {
  const response = await app.inject(sent);
  expect(response.headers['content-type'], response.body).toMatch(/^application\/problem\+json/);
  expect(response.headers['x-request-id']).toBeTruthy();
  const problem = response.json<Problem>();
  expect(problem).toMatchObject({ status: response.statusCode, type: `urn:lookalike:problem:${problem.code}` });
  expect(problem.requestId).toBe(response.headers['x-request-id']);
  expect(problem.title).toBeTruthy();
  return { status: response.statusCode, problem };
}

const wrongField = (field: string, expected: string, got: string): object => ({
  code: 'invalidInput',
  errors: [{ field, expected, got }],
});
const saying = (code: string, ...parts: string[]): object => ({
  code,
  detail: expect.stringMatching(
    new RegExp(parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')),
  ) as string,
});

const vector = [1, 0, 0, 0];
const KINDS = 'exactly one kind of query: imageBase64, imageUrl, itemId, vector; or moreLike';
const FORM_KINDS = 'exactly one kind of query: image, imageBase64, imageUrl, itemId, vector; or moreLike';

const CASES: [what: string, sent: Sent | (() => Promise<Sent>), status: number, problem: object][] = [
  ['JSON that does not parse', json('{"k": '), 400, saying('invalidInput', 'JSON')],
  ['NaN, which JSON does not have', json('{"vector": [NaN, 0, 0, 0]}'), 400, saying('invalidInput', 'JSON')],
  ['an empty body', json(''), 400, saying('invalidInput', 'empty')],
  ['a body that is no object', json([1]), 400, wrongField('(body)', 'an object', 'an array of 1 values')],
  ['null', json('null'), 400, wrongField('(body)', 'an object', 'null')],
  ['a polluted prototype', json('{"__proto__": {"k": 1}}'), 400, { code: 'invalidInput' }],
  ['no query', json({ k: 3 }), 400, wrongField('(body)', KINDS, 'none')],
  ['two kinds of query', json({ itemId: 'car', vector }), 400, wrongField('(body)', KINDS, 'itemId and vector')],
  ['k of 0', json({ vector, k: 0 }), 400, wrongField('k', 'at least 1', '0')],
  ['k of 1001', json({ vector, k: 1001 }), 400, wrongField('k', 'at most 1000', '1001')],
  ['k of 2.5', json({ vector, k: 2.5 }), 400, wrongField('k', 'a whole number', '2.5')],
  ['an nprobe of 0', json({ vector, nprobe: 0 }), 400, wrongField('nprobe', 'at least 1', '0')],
  ['a rescore of 1001', json({ vector, rescore: 1001 }), 400, wrongField('rescore', 'at most 1000', '1001')],
  ['an efSearch as text', json({ vector, efSearch: '9' }), 400, wrongField('efSearch', 'a finite number', '"9"')],
  ['k as text', json({ vector, k: '10' }), 400, wrongField('k', 'a finite number', '"10"')],
  ['an unknown field', json({ vector, kk: 3 }), 400, wrongField('kk', 'left out (no such field)', '3')],
  ['an empty category', json({ vector, category: '' }), 400, wrongField('category', 'at least 1 characters', '""')],
  ['a null in the vector', json({ vector: [1, null, 0, 0] }), 400, wrongField('vector[1]', 'a finite number', 'null')],
  [
    'the text NaN in the vector',
    json({ vector: [1, 'NaN', 0, 0] }),
    400,
    wrongField('vector[1]', 'a finite number', '"NaN"'),
  ],
  [
    'infinity in the vector',
    json('{"vector": [1e999, 0, 0, 0]}'),
    400,
    wrongField('vector[0]', 'a finite number', 'Infinity'),
  ],
  ['a value beyond 32 bits', json({ vector: [1e39, 0, 0, 0] }), 400, saying('nonFinite', '1e+39', 'position 0')],
  ['a vector of zeros', json({ vector: [0, 0, 0, 0] }), 400, saying('invalidInput', 'direction')],
  ['a vector that is too short', json({ vector: [1, 0, 0] }), 400, saying('dimensionMismatch', '4 values', 'got 3')],
  [
    'a vector that is too long',
    json({ vector: [1, 0, 0, 0, 0] }),
    400,
    saying('dimensionMismatch', '4 values', 'got 5'),
  ],
  [
    'no base64',
    json({ imageBase64: 'a*b=' }),
    400,
    wrongField('imageBase64', 'base64 (RFC 4648)', '"*" at position 1'),
  ],
  [
    'base64 that is cut off',
    json({ imageBase64: 'abcde' }),
    400,
    wrongField('imageBase64', 'base64 (RFC 4648)', 'text cut off after 5 digits'),
  ],
  [
    'a picture that is cut off',
    json({ imageBase64: PNG.subarray(0, 40).toString('base64') }),
    422,
    saying('imageRejected', 'ends too early'),
  ],
  [
    'an SVG',
    json({ imageBase64: Buffer.from('<svg xmlns="x"/>').toString('base64') }),
    422,
    saying('imageRejected', 'SVG'),
  ],
  [
    'text as a picture',
    json({ imageBase64: Buffer.from('hello').toString('base64') }),
    422,
    saying('imageRejected', '5 bytes', '0x68656c6c'),
  ],
  [
    'a private URL',
    json({ imageUrl: 'http://169.254.169.254/latest' }),
    400,
    saying('forbiddenUrl', '169.254.169.254'),
  ],
  ['a file URL', json({ imageUrl: 'file:///etc/passwd' }), 400, saying('forbiddenUrl', 'file:///etc/passwd')],
  [
    'an unknown catalogue',
    json({ vector }, '/v1/catalogues/shoes/search'),
    404,
    saying('notFound', 'known are shop', 'got "shoes"'),
  ],
  ['an unknown item', json({ itemId: 'nothing' }), 404, saying('notFound', '"nothing"')],
  ['a body over the limit', json({ vector, category: 'x'.repeat(BODY_LIMIT) }), 413, { code: 'payloadTooLarge' }],
  [
    'another content type',
    { method: 'POST', url: SEARCH, payload: 'k=1', headers: { 'content-type': 'text/plain' } },
    415,
    saying('unsupportedMediaType', 'got text/plain'),
  ],
  ['no content type', { method: 'POST', url: SEARCH }, 415, saying('unsupportedMediaType', 'got none')],
  [
    'a form without a boundary',
    { method: 'POST', url: SEARCH, payload: 'x', headers: { 'content-type': 'multipart/form-data' } },
    400,
    { code: 'invalidInput' },
  ],
  [
    'a form cut off',
    async () => {
      const form = await encodeForm({ image: PNG });
      return { method: 'POST', url: SEARCH, ...form, payload: form.payload.subarray(0, 150) };
    },
    400,
    { code: 'invalidInput' },
  ],
  [
    'a form without a picture',
    async () => ({ method: 'POST', url: SEARCH, ...(await encodeForm({ k: '1' })) }),
    400,
    wrongField('(body)', FORM_KINDS, 'none'),
  ],
  [
    'a form with a bad k',
    async () => ({ method: 'POST', url: SEARCH, ...(await encodeForm({ image: PNG, k: 'ten' })) }),
    400,
    wrongField('k', 'a finite number', '"ten"'),
  ],
  [
    'a form whose image is text',
    async () => ({ method: 'POST', url: SEARCH, ...(await encodeForm({ image: 'photo.png' })) }),
    400,
    wrongField('image', 'one uploaded file', 'text'),
  ],
  [
    'a form with two pictures',
    async () => ({ method: 'POST', url: SEARCH, ...(await encodeForm({ image: [PNG, PNG] })) }),
    413,
    { code: 'payloadTooLarge' },
  ],
  [
    'a form with a picture over the limit',
    async () => ({ method: 'POST', url: SEARCH, ...(await encodeForm({ image: Buffer.alloc(BODY_LIMIT / 2 + 1) })) }),
    413,
    { code: 'payloadTooLarge' },
  ],
  [
    'a picture and an item in one form',
    async () => ({ method: 'POST', url: SEARCH, ...(await encodeForm({ image: PNG, itemId: 'car' })) }),
    400,
    wrongField('(body)', FORM_KINDS, 'image and itemId'),
  ],
  [
    'a bad page size',
    { method: 'GET', url: '/v1/catalogues/shop/items?limit=lots' },
    400,
    wrongField('limit', 'a finite number', '"lots"'),
  ],
  [
    'an unknown query field',
    { method: 'GET', url: '/v1/catalogues/shop/items?page=2' },
    400,
    wrongField('page', 'left out (no such field)', '"2"'),
  ],
  [
    'items of an unknown catalogue',
    { method: 'GET', url: '/v1/catalogues/shoes/items' },
    404,
    saying('notFound', '"shoes"'),
  ],
  [
    'an unknown item by path',
    { method: 'GET', url: '/v1/catalogues/shop/items/none' },
    404,
    saying('notFound', '"none"'),
  ],
  [
    'the picture of an unknown item',
    { method: 'GET', url: '/v1/catalogues/shop/items/none/image' },
    404,
    saying('notFound', '"none"'),
  ],
  [
    'a path that is badly encoded',
    { method: 'GET', url: '/v1/catalogues/shop/items/%E0%A4%A' },
    400,
    { code: 'invalidInput' },
  ],
  [
    'an unknown generation',
    { method: 'GET', url: '/v1/catalogues/shop/generations/99' },
    404,
    saying('notFound', '99'),
  ],
  [
    'a generation that is no number',
    { method: 'GET', url: '/v1/catalogues/shop/generations/new' },
    400,
    wrongField('number', 'a finite number', '"new"'),
  ],
  [
    'no run to follow',
    { method: 'GET', url: '/v1/catalogues/shop/retrain' },
    404,
    saying('notFound', 'no retraining run'),
  ],
  ['a retrain of an unknown catalogue', json({}, '/v1/catalogues/shoes/retrain'), 404, saying('notFound', '"shoes"')],
  [
    'an unknown recipe',
    json({ recipe: 'unheard-of' }, '/v1/catalogues/shop/retrain'),
    400,
    saying('invalidInput', 'unheard-of'),
  ],
  [
    'a misspelt retrain field',
    json({ recipes: 'x' }, '/v1/catalogues/shop/retrain'),
    400,
    wrongField('recipes', 'left out (no such field)', '"x"'),
  ],
  [
    'a retrain without a content type',
    { method: 'POST', url: '/v1/catalogues/shop/retrain' },
    415,
    { code: 'unsupportedMediaType' },
  ],
  [
    'a retrain by form',
    async () => ({ method: 'POST', url: '/v1/catalogues/shop/retrain', ...(await encodeForm({ recipe: 'default' })) }),
    415,
    { code: 'unsupportedMediaType' },
  ],
  ['an unknown path', { method: 'GET', url: '/v2' }, 404, { code: 'notFound' }],
  ['an unknown method', { method: 'DELETE', url: SEARCH }, 404, { code: 'notFound' }],
  [
    'a foreign host name',
    { method: 'GET', url: '/v1/catalogues', headers: { host: 'attacker.example' } },
    403,
    saying('forbidden', 'attacker.example'),
  ],
  [
    'a foreign page',
    {
      ...json({}, '/v1/catalogues/shop/retrain'),
      headers: { 'content-type': 'application/json', host: 'localhost:1', origin: 'https://attacker.example' },
    },
    403,
    saying('forbidden', 'attacker.example'),
  ],
];

describe('bad input', () => {
  it.each(CASES)('%s is refused in words', async (_, sent, status, problem) => {
    const answer = await send(typeof sent === 'function' ? await sent() : sent);
    expect(answer.problem).toMatchObject(problem);
    expect(answer.status).toBe(status);
    expect(world.retrains).toEqual([]);
  });

  it('shows only the beginning of a long wrong value', async () => {
    const { problem } = await send(json({ vector: 'x'.repeat(10_000) }));
    expect(problem.errors?.[0]?.got.length).toBeLessThan(100);
  });

  it('keeps the id that the caller gave the request, unless it is unfit for a log', async () => {
    const get = async (id: string): Promise<unknown> =>
      (await app.inject({ url: '/v2', headers: { 'x-request-id': id } })).headers['x-request-id'];
    expect(await get('order-17')).toBe('order-17');
    expect(await get('a b\u00e9')).not.toContain('a b');
  });
});
