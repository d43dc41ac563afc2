import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import type { ApiPorts } from '../../api/ports.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Problem } from '../../api/problem.ts';
import { MODEL, World, fruitsAndCars, strict } from './fakes.ts';

const SHA = 'ab'.repeat(32);
const BYTES = Buffer.from('an ONNX file');
const FILE = { precision: 'fp16', artifact: 'model-2', sha256: SHA, sizeBytes: BYTES.length, mayQuery: true } as const;
/** Browsers run modules of either type (MIME Sniffing, 4.6); which one the static server names depends on its table. */
const JAVASCRIPT = /^(text|application)\/javascript\b/;
const PREPROCESSING = {
  resizeShorterSide: 256,
  size: 224,
  mean: [127, 127, 127] as [number, number, number],
  std: [128, 128, 128] as [number, number, number],
  background: [255, 255, 255] as [number, number, number],
};

let folder: string;
let path: string;
let world: World;
let app: NestFastifyApplication;
const asked: string[][] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lookalike-api-model-'));
  path = join(folder, 'model.onnx');
  await writeFile(path, BYTES);
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => app.close());

async function start(): Promise<void> {
  world = new World(fruitsAndCars());
  const deviceModels = strict<ApiPorts['deviceModels']>('deviceModels', {
    of: async (model, snapshot) => {
      asked.push([model, snapshot]);
      return { model, dim: 4, preprocessing: PREPROCESSING, files: [FILE] };
    },
    open: async (_model, _snapshot, precision) => {
      if (precision === 'fp16') return { path, file: FILE };
      throw new LookalikeError('notFound', `Expected an ${precision} variant, found none.`);
    },
  });
  app = await createApp(world.ports({ deviceModels }), { auth: 'off' });
}

describe('the model for devices', () => {
  it('is the one that serves, with where its files are', async () => {
    await start();
    const response = await app.inject('/v1/catalogues/shop/model');
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      model: MODEL,
      dim: 4,
      preprocessing: PREPROCESSING,
      files: [{ ...FILE, url: `/v1/catalogues/shop/model/fp16?v=${SHA}` }],
    });
    expect(asked.at(-1)).toEqual([MODEL, 'snapshot-1']);
  });

  it('comes as bytes that may be kept for ever under their own name only', async () => {
    await start();
    const file = await app.inject(`/v1/catalogues/shop/model/fp16?v=${SHA}`);
    expect(file.statusCode).toBe(200);
    expect(file.rawPayload).toEqual(BYTES);
    expect(file.headers).toMatchObject({
      'content-length': String(BYTES.length),
      'cache-control': 'private, max-age=31536000, immutable',
      etag: `"${SHA}"`,
    });
    const unnamed = await app.inject('/v1/catalogues/shop/model/fp16');
    expect(unnamed.headers['cache-control']).toBe('private, no-cache');
    const again = await app.inject({ url: '/v1/catalogues/shop/model/fp16', headers: { 'if-none-match': `"${SHA}"` } });
    expect(again.statusCode).toBe(304);
    expect(again.body).toBe('');
  });

  it('says what there is not', async () => {
    await start();
    expect((await app.inject('/v1/catalogues/shop/model/int8')).statusCode).toBe(404);
    const bf16 = await app.inject('/v1/catalogues/shop/model/bf16');
    expect(bf16.statusCode).toBe(400);
    expect(bf16.json<Problem>().detail).toContain('one of fp32, fp16, int8');
    expect((await app.inject('/v1/catalogues/attic/model')).statusCode).toBe(404);
    world.table = undefined;
    expect((await app.inject('/v1/catalogues/shop/model')).statusCode).toBe(503);
  });
});

describe('a vector that says its model', () => {
  const search = (payload: object) => app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });

  it('is compared when that model serves', async () => {
    await start();
    const answer = await search({ vector: [1, 0, 0, 0], model: MODEL, k: 1 });
    expect(answer.json<{ hits: { id: string }[] }>().hits.map(({ id }) => id)).toEqual(['apple/red']);
  });

  it('is refused when another serves, naming it', async () => {
    await start();
    const answer = await search({ vector: [1, 0, 0, 0], model: 'model-of-yesterday' });
    expect(answer.statusCode).toBe(409);
    expect(answer.json<Problem>()).toMatchObject({
      code: 'conflict',
      detail: expect.stringContaining(MODEL) as string,
    });
  });

  it('is the only query that may', async () => {
    await start();
    const answer = await search({ itemId: 'car', model: MODEL });
    expect(answer.statusCode).toBe(400);
    expect(answer.json<Problem>().detail).toContain('`model`');
  });
});

describe('what the page embeds photos with', () => {
  it('is served from here, under a policy that compiles WebAssembly and evaluates nothing', async () => {
    await start();
    const expected: [string, RegExp][] = [
      ['/page/ort/ort.wasm.min.mjs', JAVASCRIPT],
      ['/page/ort/ort-wasm-simd-threaded.wasm', /^application\/wasm\b/],
      ['/page/shared/resample.js', JAVASCRIPT],
      ['/page/shared/kernels/wasm-module.ts', JAVASCRIPT],
      ['/page/device-worker.js', JAVASCRIPT],
    ];
    for (const [url, type] of expected) {
      const { statusCode, headers } = await app.inject(url);
      expect([url, statusCode]).toEqual([url, 200]);
      expect(headers['content-type']).toMatch(type);
      expect(headers['content-security-policy']).toContain("script-src 'self' 'wasm-unsafe-eval';");
      expect(headers['content-security-policy']).not.toContain("'unsafe-eval'");
      expect(headers['cross-origin-embedder-policy']).toBe('require-corp');
    }
  });

  it('opens no other file', async () => {
    await start();
    for (const url of [
      '/page/ort/ort.min.js',
      '/page/ort/..%2fpackage.json',
      '/page/shared/decode.js',
      '/page/shared/../env.js',
    ])
      expect([url, (await app.inject(url)).statusCode]).toEqual([url, 404]);
  });
});
