import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Page } from 'playwright-core';
import { createApp } from '../../api/app.ts';
import type { ApiPorts } from '../../api/ports.ts';
import type { Artifact } from '../../contracts/artifacts.ts';
import { loadConfig } from '../../infra/config/env.ts';
import { createEmbedder } from '../../infra/inference/embedder.ts';
import type { Embedder } from '../../infra/inference/embedder.ts';
import { agreementOf } from '../../infra/models/agreement.ts';
import { DEFAULT_BACKBONE, ensureBackbone } from '../../infra/models/ensure-backbone.ts';
import { ensurePretrained } from '../../infra/models/publish-head-model.ts';
import { openStores } from '../../infra/stores.ts';
import type { Stores } from '../../infra/stores.ts';
import { createDeviceModels } from '../../infra/variants/device-models.ts';
import { World, strict, table } from '../api/fakes.ts';
import { emoji, FRUITS_AND_VEHICLES } from '../infra/models/small-backbone.ts';
import { chromiumPath, openBrowser } from './browser.ts';

/** The same pixels through the same preprocessing, weights rounded to halves: what is left is the runtimes' order of sums. */
const SAME_PIXELS = 0.9999;
/** A JPEG may come out of another decoder by a level here and there, and servers shrink large ones while decoding. */
const OTHER_DECODER = 0.995;

/** The page asks for the newest search for hyper-parameters. */
const NEVER_TUNED = strict<ApiPorts['tuner']>('tuner', { status: () => Promise.resolve(undefined) });

describe.skipIf(chromiumPath === undefined)('a photo that stays on the device, in Chromium', () => {
  let folder: string;
  let stores: Stores;
  let embedder: Embedder;
  let model: Artifact;
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  let app: NestFastifyApplication;
  let world: World;
  let page: Page;
  let origin: string;
  const sent: { url: string; body: string | null; type: string | undefined }[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lookalike-device-'));
    const config = loadConfig({ ...process.env, LOOKALIKE_DATA_DIR: folder });
    stores = await openStores(config);
    const backbone = await ensureBackbone(stores, config, DEFAULT_BACKBONE);
    model = await ensurePretrained(stores, backbone.id);
    embedder = createEmbedder({ config: { embedThreads: 2, executionProvider: 'cpu' }, stores });
    world = new World();
    const pictures = await emoji(...FRUITS_AND_VEHICLES);
    const vectors = await serverVectors(pictures);
    FRUITS_AND_VEHICLES.forEach((code, i) =>
      world.add({ id: code, title: code, vector: Array.from(vectors[i]!) }, pictures[i]),
    );
    world.embedding = Array.from(vectors[0]!);
    world.table = { ...table(1, model.id), dim: vectors[0]!.length };
    app = await createApp(world.ports({ deviceModels: createDeviceModels(stores.artifacts), tuner: NEVER_TUNED }), {
      auth: 'off',
    });
    await app.listen(0, '127.0.0.1');
    origin = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
    browser = await openBrowser();
    browser.context.setDefaultTimeout(60_000);
    page = await browser.context.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      // A 404 is the answer where no search for hyper-parameters was ever started.
      const isUntuned = message.location().url.endsWith('/tune') && message.text().includes('404');
      if (message.type() === 'error' && !isUntuned) complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(origin))
        complaints.push(`asked ${request.url()}`);
      if (request.method() !== 'POST') return;
      sent.push({ url: request.url(), body: request.postData(), type: request.headers()['content-type'] });
    });
    await page.goto(origin);
    await page.getByLabel('Keep my photos on this device').check();
  });
  afterAll(async () => {
    await browser.close();
    await app.close();
    await embedder.close();
    await stores.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    sent.length = 0;
  });

  async function serverVectors(pictures: Buffer[]): Promise<Float32Array[]> {
    return (await embedder.embed(model.id, pictures, { priority: 'online' })).map((result) => {
      if ('rejected' in result) throw new Error(result.rejected);
      return result.vectors[0]!;
    });
  }

  /** What the server would have found for the picture's bytes. */
  function serverTop(vector: Float32Array, k: number): string[] {
    const score = (row: number[]): number => row.reduce((sum, x, i) => sum + x * vector[i]!, 0);
    const scored = [...world.indexed].map(([id, row]) => ({ id, score: score(row.vector) }));
    return scored
      .sort((a, b) => b.score - a.score)
      .slice(0, k)
      .map(({ id }) => id);
  }

  async function choose(
    name: string,
    mimeType: string,
    buffer: Buffer,
  ): Promise<{ vector: Float32Array; top: string[] }> {
    const before = world.searches.length;
    await page.locator('#file').setInputFiles({ name, mimeType, buffer });
    await page.locator('#query-caption', { hasText: name }).waitFor();
    await page.locator('#on-device-note', { hasText: 'numbers are sent' }).waitFor();
    await page.locator('#results-title', { hasText: 'like your photo' }).waitFor();
    await page.locator('#grid:not([aria-busy])').waitFor();
    expect(world.searches.length).toBe(before + 1);
    const body = JSON.parse(sent.at(-1)!.body!) as { vector: number[] };
    const top = await page
      .locator('.card')
      .evaluateAll((cards) =>
        cards.map((one) => (one as unknown as { dataset: Record<string, string> }).dataset['id']!),
      );
    return { vector: Float32Array.from(body.vector), top };
  }

  it('sends a vector and nothing else, and finds what the server would', async () => {
    const [photo] = await emoji('1f34b');
    const { vector, top } = await choose('lemon.png', 'image/png', photo!);
    const searches = sent.filter(({ url }) => url.endsWith('/search'));
    expect(searches).toHaveLength(1);
    expect(searches[0]!.type).toBe('application/json');
    expect(Object.keys(JSON.parse(searches[0]!.body!) as object).sort()).toEqual([
      'allowPartial',
      'exact',
      'k',
      'model',
      'vector',
    ]);
    expect(world.embedded).toEqual([]);
    const [expected] = await serverVectors([photo!]);
    expect(agreementOf([expected!], [vector]).minCosine).toBeGreaterThan(SAME_PIXELS);
    expect(top).toEqual(serverTop(expected!, 12));
    expect(await page.evaluate('crossOriginIsolated')).toBe(true);
    expect(complaints).toEqual([]);
  });

  it('turns photos upright, lays transparency on the background, and shrinks large ones, as servers do', async () => {
    const [fruit, car] = await emoji('1f353', '1f697');
    const scene = (side: number, ratio: number) =>
      sharp({
        create: { width: Math.round(side * ratio), height: side, channels: 3, background: '#d8cfc0' },
      }).composite([{ input: car! }, { input: fruit!, gravity: 'southeast' }]);
    const enlarged = await sharp(await scene(150, 1.4).png().toBuffer())
      .resize({ height: 1200 })
      .toBuffer();
    const cases: [string, string, Buffer, number][] = [
      ['clear.png', 'image/png', fruit!, SAME_PIXELS],
      ['small.jpg', 'image/jpeg', await scene(300, 1.5).jpeg({ quality: 90 }).toBuffer(), OTHER_DECODER],
      [
        'turned.jpg',
        'image/jpeg',
        await scene(300, 1.5).withExif({ IFD0: {} }).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
        OTHER_DECODER,
      ],
      ['large.jpg', 'image/jpeg', await sharp(enlarged).jpeg({ quality: 92 }).toBuffer(), OTHER_DECODER],
      ['modern.webp', 'image/webp', await scene(300, 0.8).webp({ lossless: true }).toBuffer(), SAME_PIXELS],
    ];
    for (const [name, type, bytes, least] of cases) {
      const { vector, top } = await choose(name, type, bytes);
      const [expected] = await serverVectors([bytes]);
      const { minCosine } = agreementOf([expected!], [vector]);
      expect([name, minCosine]).toEqual([name, expect.any(Number)]);
      expect(minCosine, name).toBeGreaterThan(least);
      expect(top[0], name).toBe(serverTop(expected!, 1)[0]);
    }
    expect(complaints).toEqual([]);
  });

  it('embeds again when another model has come to serve meanwhile', async () => {
    const stale = 'model-that-served-a-moment-ago';
    await page.route(
      '**/v1/catalogues/shop/model',
      async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...((await response.json()) as object), model: stale } });
      },
      { times: 1 },
    );
    const [photo] = await emoji('1f350');
    await page.locator('#file').setInputFiles({ name: 'pear.png', mimeType: 'image/png', buffer: photo! });
    await expect.poll(() => sent.filter(({ url }) => url.endsWith('/search')).length).toBe(2);
    const models = sent.map(({ body }) => (JSON.parse(body!) as { model: string }).model);
    expect(models).toEqual([stale, model.id]);
    await page.locator('.card').first().waitFor();
    expect(await page.locator('.card').first().getAttribute('data-id')).toBe('1f350');
  });

  it('says in words what this browser cannot read', async () => {
    const damaged = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(400)]);
    await page.locator('#file').setInputFiles({ name: 'damaged.jpg', mimeType: 'image/jpeg', buffer: damaged });
    await page.getByRole('alert').filter({ hasText: 'cannot read the picture' }).waitFor();
    expect(sent.filter(({ url }) => url.endsWith('/search'))).toEqual([]);
  });

  it('sends photos that are chosen once the switch is off, and never one that was to stay', async () => {
    const [kept, photo] = await emoji('1f350', '1f34b');
    await page.locator('#file').setInputFiles({ name: 'kept.png', mimeType: 'image/png', buffer: kept! });
    await page.locator('.card').first().waitFor();
    await page.getByLabel('Keep my photos on this device').uncheck();
    await page.locator('#exact').setChecked(true);
    await page.locator('#file').setInputFiles({ name: 'sent.png', mimeType: 'image/png', buffer: photo! });
    await expect.poll(() => world.embedded.length).toBe(1);
    expect(Buffer.from(world.embedded[0]!.bytes)).toEqual(photo);
  });
});
