import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { BrowserContext, Page } from 'playwright-core';
import { createApp } from '../../api/app.ts';
import type { ApiOptions } from '../../api/app.ts';
import type { ApiPorts } from '../../api/ports.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { World, generation, running } from '../api/fakes.ts';
import { chromiumPath, openBrowser } from './browser.ts';

/** Set to a folder to look at the page yourself. */
const SCREENSHOTS = process.env['LOOKALIKE_SCREENSHOTS'];

const EMOJI = fileURLToPath(import.meta.resolve('emoji-datasource-google/package.json')).replace(
  /package\.json$/,
  'img/google/64/',
);
const picture = (code: string): Buffer => readFileSync(`${EMOJI}${code}.png`);

const FRUIT: [code: string, title: string][] = [
  ['1f34e', 'Red Apple'],
  ['1f34f', 'Green Apple'],
  ['1f350', 'Pear'],
  ['1f351', 'Peach'],
  ['1f352', 'Cherries'],
  ['1f353', 'Strawberry'],
  ['1f347', 'Grapes'],
  ['1f348', 'Melon'],
  ['1f349', 'Watermelon'],
  ['1f34a', 'Tangerine'],
  ['1f34b', 'Lemon'],
  ['1f34c', 'Banana'],
  ['1f34d', 'Pineapple'],
];
const VEHICLES: [code: string, title: string][] = [
  ['1f697', 'Automobile'],
  ['1f695', 'Taxi'],
  ['1f699', 'Recreational Vehicle'],
  ['1f68c', 'Bus'],
  ['1f69a', 'Delivery Truck'],
  ['1f693', 'Police Car'],
  ['1f691', 'Ambulance'],
  ['1f692', 'Fire Engine'],
  ['1f3ce-fe0f', 'Racing Car'],
];

/** Images further down are loaded when they come into view. */
const IMAGES_IN_VIEW_ARE_THERE = `[...document.images].every(
  (image) => image.complete || image.getBoundingClientRect().top > window.innerHeight)`;

/** Fruits near the first axis, vehicles near the second, each a little further from it than the one before. */
function shop(): World {
  const world = new World();
  const add = (list: typeof FRUIT, category: string, axis: number): void =>
    list.forEach(([code, title], i) => {
      const vector = [0, 0, 0.01 * i, 0];
      vector[axis] = 1 - 0.03 * i;
      world.add({ id: `${category}/${code}`, title, category, vector }, picture(code));
    });
  add(FRUIT, 'fruit', 0);
  add(VEHICLES, 'vehicle', 1);
  return world;
}

describe.skipIf(chromiumPath === undefined)('the page, in Chromium', () => {
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  let context: BrowserContext;
  let world: World;
  let app: NestFastifyApplication;
  let page: Page;
  let origin: string;
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await openBrowser();
    ({ context } = browser);
    context.setDefaultTimeout(20_000);
  });
  afterAll(() => browser.close());

  beforeEach(() => {
    world = shop();
    complaints.length = 0;
  });
  afterEach(async () => {
    await page.close();
    await app.close();
  });

  async function visit(options: Partial<ApiOptions> = {}, path = '/', ports: Partial<ApiPorts> = {}): Promise<void> {
    app = await createApp(world.ports(ports), { auth: 'off', limits: { eventIntervalMs: 50 }, ...options });
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    origin = `http://127.0.0.1:${port}`;
    page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(origin))
        complaints.push(`asked ${request.url()}`);
    });
    await page.goto(origin + path);
  }

  /** As text evaluated from outside: the page's own policy forbids evaluating text inside. */
  const until = (expression: string): Promise<void> =>
    vi.waitFor(async () => expect(await page.evaluate(expression)).toBe(true), { timeout: 20_000, interval: 30 });
  const titles = (): Promise<string[]> => page.locator('.card .title').allTextContents();
  const heading = (text: string | RegExp) => page.locator('#results-title', { hasText: text }).waitFor();
  const look = async (name: string): Promise<void> => {
    if (SCREENSHOTS === undefined) return;
    await until(IMAGES_IN_VIEW_ARE_THERE);
    await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
  };

  it('shows the catalogue with its pictures, asking no other server', async () => {
    await visit();
    await page.locator('.card').nth(21).waitFor();
    expect(await page.locator('.card').count()).toBe(22);
    await until(`[...document.querySelectorAll('.card img')].slice(0, 8).every((image) => image.naturalWidth > 0)`);
    expect(await page.locator('#serving').textContent()).toBe('Generation 1 answers');
    expect(complaints).toEqual([]);
    await look('catalogue');
  });

  it('shows more like an item that is clicked, and like one of those, and goes back', async () => {
    await visit();
    await page.getByRole('button', { name: /^Red Apple/ }).click();
    await heading('21 items like Red Apple');
    expect((await titles()).slice(0, 3)).toEqual(['Green Apple', 'Pear', 'Peach']);
    expect(await page.locator('.card .score').first().textContent()).toContain('0.970');
    expect(await page.locator('#answered').textContent()).toMatch(/generation 1, model model-0+1, index index-0+1/);
    expect(await page.locator('#timing').textContent()).toMatch(/ms \(.*search 0\.5/);
    await look('likes');
    await page.getByRole('button', { name: /^Pear/ }).click();
    await heading('21 items like Pear');
    await page.goBack();
    await heading('items like Red Apple');
    await page.goBack();
    await heading('Catalogue');
    expect(complaints).toEqual([]);
  });

  it('finds by a photo that is chosen, within a category', async () => {
    world.embedding = [0, 1, 0, 0];
    await visit();
    await page.locator('#file').setInputFiles({ name: 'street.png', mimeType: 'image/png', buffer: picture('1f697') });
    await heading('22 items like your photo');
    expect(await titles()).toContain('Red Apple');
    expect(Buffer.from(world.embedded[0]!.bytes)).toEqual(picture('1f697'));
    await page.locator('#category').selectOption('vehicle');
    await heading('9 items like your photo');
    expect((await titles())[0]).toBe('Automobile');
    await look('photo');
    expect(complaints).toEqual([]);
  });

  it('finds by a photo that is dropped anywhere or pasted', async () => {
    await visit();
    const hand = (type: 'drop' | 'paste') =>
      page.evaluate(`{
        const bytes = Uint8Array.from(atob('${picture('1f34e').toString('base64')}'), (c) => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], 'photo.png', { type: 'image/png' }));
        const init = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
        const Kind = { drop: DragEvent, paste: ClipboardEvent }.${type};
        document.body.dispatchEvent(new Kind('${type}', init));
      }`);
    await page.locator('.card').first().waitFor();
    for (const type of ['drop', 'paste'] as const) {
      await hand(type);
      await heading('22 items like your photo');
      await page.getByRole('button', { name: 'Back to the whole catalogue' }).click();
      await heading('Catalogue');
    }
    expect(world.embedded).toHaveLength(2);
  });

  it('shows generations and why one was refused, rolls back, serves one again, and draws what it was made from', async () => {
    const refused = 'Expected recall@1 of the candidate to be at least 0.7800, got 0.7000: 6 lost, 0 won, p = 0.016.';
    const quality = { candidate: { recall: { 1: 0.8123 } } };
    world.generations[0]!.status = 'retired';
    world.generations.push({
      ...generation(2, 'serving'),
      metrics: {
        quality,
        indexRecall: 0.995,
        override: { by: 'ann', reason: 'better for coats' },
        reasons: ['Too low.'],
      },
    });
    world.generations.push({ ...generation(3, 'rejected'), metrics: { reasons: [refused] } });
    const made = {
      ...{ kind: 'model' as const, config: { epochs: 12, loss: 'proxySoftmax' }, seed: 1, codeVersion: '0.1.0' },
      ...{ summary: {}, metrics: { recall: { 1: 0.8123 } } },
    };
    const leaf = (role: string, id: string) => ({ role, id, state: 'seen' as const, made: null, inputs: [] });
    const lineage: ApiPorts['lineage'] = async () => [
      {
        ...{ role: 'index', id: 'index-1', state: 'artifact', made: { ...made, kind: 'index', seed: null } },
        inputs: [
          { role: 'model', id: 'model-1', state: 'artifact', made, inputs: [leaf('snapshot', 'snapshot-1')] },
          { ...leaf('embeddings', 'embeddings-1'), state: 'gone' },
        ],
      },
    ];
    await visit({}, '/', { lineage });
    const rows = page.locator('#generations li');
    await rows.nth(2).waitFor();
    const row = (number: number) => rows.filter({ hasText: `Generation ${number}` });
    expect(await row(3).textContent()).toContain(refused);
    expect(
      await row(3)
        .getByRole('button', { name: /^Serve/ })
        .count(),
    ).toBe(0);
    expect(await row(2).textContent()).toMatch(
      /serving.*recall@1 0\.812, index recall 0\.995.*Forced by ann: better for coats\./,
    );
    await look('generations');

    await page.getByRole('button', { name: 'Roll back' }).click();
    await page.locator('#switch-summary', { hasText: 'Generation 1 serves.' }).waitFor();
    await row(1).filter({ hasText: 'serving' }).waitFor();
    await page.getByRole('button', { name: 'Serve: generation 2' }).click();
    await page.locator('#switch-summary', { hasText: 'Generation 2 serves.' }).waitFor();
    expect(world.switches.map(({ how, generation: to }) => `${how} ${to}`)).toEqual(['rollback 1', 'promote 2']);
    await page.locator('#switches-box summary').click();
    expect(await page.locator('#switches li').allTextContents()).toEqual([
      expect.stringContaining('promote: 2 instead of 1, by API without a key'),
      expect.stringContaining('rollback: 1 instead of 2, by API without a key'),
    ]);

    await page.getByRole('button', { name: 'Made from: generation 2' }).click();
    await page.locator('#lineage li').first().waitFor();
    const roles = await page.locator('#lineage .role').allTextContents();
    expect(roles).toEqual(['index', 'model', 'snapshot', 'embeddings']);
    const model = page.locator('#lineage ul > li').first();
    expect(await model.locator('> p').textContent()).toBe('code 0.1.0, seed 1, recall @1 0.8123');
    await model.locator('> details summary').click();
    expect(await model.locator('pre').textContent()).toContain('"epochs": 12');
    await look('lineage');
    await page.getByRole('button', { name: 'Close' }).click();
    expect(complaints).toEqual([]);
  });

  it('says in words what is wrong with a picture', async () => {
    await visit();
    await page.locator('.card').first().waitFor();
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>');
    await page.locator('#file').setInputFiles({ name: 'drawing.svg', mimeType: 'image/svg+xml', buffer: svg });
    await page.getByRole('alert').filter({ hasText: 'got an SVG document' }).waitFor();
    expect(await page.locator('.card').count()).toBe(0);
    await page.locator('#file').setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('x') });
    await page.getByRole('alert').filter({ hasText: 'Expected a picture, got text/plain' }).waitFor();
    await look('problem');
  });

  it('shows hostile titles as text', async () => {
    const title = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    world.add({ id: 'evil"><script>', title, category: '<b>bold</b>', vector: [0.99, 0, 0, 0] }, picture('1f34e'));
    await visit();
    await page.locator('.card', { hasText: 'onerror' }).click();
    await heading('like <img src=x');
    expect(await page.title()).toBe('Lookalike');
    expect(await page.locator('b').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('starts a retrain, follows it live and takes up the new generation', async () => {
    await visit();
    await page.locator('#run-summary', { hasText: 'Never retrained yet.' }).waitFor();
    await page.getByRole('button', { name: 'Retrain' }).click();
    await page.locator('#run-summary', { hasText: 'Started.' }).waitFor();
    expect(world.retrains).toEqual([{ catalogue: 'shop', request: { force: false } }]);
    world.retrain = running();
    await page.locator('#run-summary', { hasText: 'epoch 3 of 10, 5,200 samples/s on cpu' }).waitFor();
    await page.getByRole('img', { name: 'Recall at 1 is 0.610 after epoch 3 of 10.' }).waitFor();
    expect(await page.locator('.steps li[data-status=running]').textContent()).toContain('train');
    expect(await page.getByRole('link', { name: 'Follow in Temporal' }).getAttribute('href')).toContain(
      'retrain%2Fshop',
    );
    await look('retrain');
    await page.emulateMedia({ colorScheme: 'dark' });
    await look('dark');
    world.table = { ...world.table!, generation: 2 };
    world.retrain = { ...running(), status: 'completed', training: null, closedAt: '2026-01-01T01:00:00.000Z' };
    await page.locator('#serving', { hasText: 'Generation 2 answers' }).waitFor();
    expect(await page.locator('#curve').isVisible()).toBe(true);
    expect(complaints).toEqual([]);
  });

  it('keeps searching while Temporal is down, and says so', async () => {
    const down = () => Promise.reject(new LookalikeError('unavailable', 'Expected Temporal to answer, it did not.'));
    await visit({}, '/', { retrainer: { start: down, status: down, recipes: () => [] } });
    await page.locator('#run-summary', { hasText: 'Searches go on.' }).waitFor();
    await page.getByRole('button', { name: /^Lemon/ }).click();
    await heading('items like Lemon');
    expect(await page.getByRole('button', { name: 'Retrain' }).isDisabled()).toBe(true);
  });

  it('asks for a key where one is demanded, and shows pictures with it', async () => {
    await visit({ auth: 'required' });
    const dialog = page.getByRole('dialog', { name: 'API key' });
    await dialog.waitFor();
    await look('key');
    await page.getByLabel('Key', { exact: true }).fill('lk_wrong');
    await page.getByRole('button', { name: 'Use key' }).click();
    await page.getByRole('alert').filter({ hasText: 'unknown or revoked' }).waitFor();
    await page.getByLabel('Key', { exact: true }).fill('lk_read_0123456789abcdef');
    await page.getByRole('button', { name: 'Use key' }).click();
    await page.locator('.card').first().waitFor();
    await until(`document.querySelector('.card img').naturalWidth > 0`);
    await page.getByRole('button', { name: 'Retrain' }).click();
    await page.getByRole('alert').filter({ hasText: 'scope "write"' }).waitFor();
  });

  it('works by keyboard alone and on a narrow screen', async () => {
    await visit();
    await page.setViewportSize({ width: 380, height: 800 });
    await page.locator('.card').first().waitFor();
    await look('narrow');
    expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
    await page.locator('.card').first().focus();
    await page.keyboard.press('Enter');
    await heading('21 items like Grapes');
  });

  it('opens a shared link at its item', async () => {
    await visit({}, `/?catalogue=shop&item=${encodeURIComponent('fruit/1f34b')}`);
    await heading('21 items like Lemon');
  });

  it('shows the documentation page under its policy', async () => {
    await visit({}, '/docs');
    await page.getByText('/v1/catalogues/{catalogue}/search').first().waitFor();
    expect(complaints).toEqual([]);
    await look('docs');
  });

  it('looks for the part of a photo that a rectangle is dragged over, and for all of it again', async () => {
    await visit();
    await page.locator('#file').setInputFiles({ name: 'street.png', mimeType: 'image/png', buffer: picture('1f697') });
    await heading('22 items like your photo');
    await until(`document.querySelector('#query-picture').naturalWidth > 0`);
    const photo = (await page.locator('#query-picture').boundingBox())!;
    const at = (x: number, y: number): [number, number] => [photo.x + x * photo.width, photo.y + y * photo.height];
    world.embedding = [0, 1, 0, 0];
    // From the lower right corner on, and further than the photo goes.
    await page.mouse.move(...at(0.75, 0.5));
    await page.mouse.down();
    await page.mouse.move(...at(0.5, 0.4), { steps: 3 });
    await page.mouse.move(...at(0.25, -0.2), { steps: 3 });
    await page.mouse.up();
    await vi.waitFor(() => expect(world.embedded).toHaveLength(2));
    const { crop } = world.embedded[1]!;
    expect(crop).toEqual({
      ...{ left: expect.closeTo(0.25, 1) as number, top: 0, unit: 'relative' },
      ...{ width: expect.closeTo(0.5, 1) as number, height: expect.closeTo(0.5, 1) as number },
    });
    await page.locator('.card .title', { hasText: 'Automobile' }).waitFor();
    await until(`document.querySelector('.card .title').textContent === 'Automobile'`);
    await look('crop');
    // A click is no rectangle.
    await page.mouse.click(...at(0.5, 0.5));
    await page.getByRole('button', { name: 'Whole photo' }).click();
    await vi.waitFor(() => expect(world.embedded).toHaveLength(3));
    expect(world.embedded[2]!.crop).toBeUndefined();
    await page.getByRole('button', { name: /^Red Apple/ }).click();
    await heading('items like Red Apple');
    expect(await page.locator('#crop-hint').isVisible()).toBe(false);
    expect(complaints).toEqual([]);
  });
});
