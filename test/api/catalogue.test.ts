import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import { CatalogueListDto, CategoryListDto, ItemDto, ItemPageDto } from '../../api/catalogue/catalogue.dto.ts';
import { DIM, MODEL, PNG, World, fruitsAndCars } from './fakes.ts';

let world: World;
let app: NestFastifyApplication;
beforeEach(async () => {
  world = new World(fruitsAndCars());
  app = await createApp(world.ports(), { auth: 'off' });
});
afterEach(() => app.close());

async function get(url: string): Promise<unknown> {
  const response = await app.inject(url);
  expect(response.statusCode, response.body).toBe(200);
  return response.json();
}

describe('the catalogue', () => {
  it('lists catalogues with what serves them', async () => {
    const serving = { generation: 1, model: MODEL, dim: DIM, untrained: null };
    expect(CatalogueListDto.schema.parse(await get('/v1/catalogues'))).toEqual({
      catalogues: [{ catalogue: 'shop', numItems: 6, numExamples: 0, serving }],
    });
    world.generations[0]!.metrics = { untrained: 'No labels.' };
    expect(await get('/v1/catalogues')).toMatchObject({ catalogues: [{ serving: { untrained: 'No labels.' } }] });
    world.table = undefined;
    expect(await get('/v1/catalogues')).toMatchObject({ catalogues: [{ serving: null }] });
  });

  it('walks through all items page by page, each once', async () => {
    const seen: string[] = [];
    let after = '';
    for (let pages = 1; ; pages++) {
      const page = ItemPageDto.schema.parse(await get(`/v1/catalogues/shop/items?limit=4${after}`));
      seen.push(...page.items.map((item) => item.id));
      if (page.nextAfter === null) {
        expect(pages).toBe(2);
        break;
      }
      after = `&after=${encodeURIComponent(page.nextAfter)}`;
    }
    expect(seen).toEqual([...world.items.keys()].sort());
  });

  it('filters items by category and counts the categories', async () => {
    const page = ItemPageDto.schema.parse(await get('/v1/catalogues/shop/items?category=vehicle'));
    expect(page).toMatchObject({ items: [{ id: 'car' }, { id: 'van' }], nextAfter: null });
    expect(CategoryListDto.schema.parse(await get('/v1/catalogues/shop/categories')).categories).toEqual(
      expect.arrayContaining([
        { category: 'fruit', count: 4 },
        { category: 'vehicle', count: 2 },
      ]),
    );
  });

  it.each(['apple/red', 'Äpfel & Birnen'])('finds the item %s and its picture by encoded path', async (id) => {
    const item = ItemDto.schema.parse(await get(`/v1/catalogues/shop/items/${encodeURIComponent(id)}`));
    expect(item.id).toBe(id);
    const picture = await app.inject(item.imageUrl);
    expect(picture.rawPayload).toEqual(PNG);
    expect(picture.headers).toMatchObject({ 'content-type': 'image/png', 'x-content-type-options': 'nosniff' });
  });

  it('finds an item whose id is long', async () => {
    const id = 'ü'.repeat(300);
    world.add({ id, vector: null });
    expect(await get(`/v1/catalogues/shop/items/${encodeURIComponent(id)}`)).toMatchObject({ id });
  });

  it('lets a picture be kept for ever under its versioned path only', async () => {
    const { imageUrl } = ItemDto.schema.parse(await get('/v1/catalogues/shop/items/car'));
    expect((await app.inject(imageUrl)).headers['cache-control']).toContain('immutable');
    const plain = await app.inject(imageUrl.split('?')[0]!);
    expect(plain.headers['cache-control']).toBe('private, no-cache');
    const again = await app.inject({ url: imageUrl, headers: { 'if-none-match': String(plain.headers.etag) } });
    expect(again.statusCode).toBe(304);
    expect(again.rawPayload).toHaveLength(0);
  });

  it('never lets a browser run what was imported as a picture', async () => {
    world.add(
      { id: 'trap', vector: null },
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'),
    );
    const { headers } = await app.inject('/v1/catalogues/shop/items/trap/image');
    expect(headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment',
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
    });
  });

  it('tells that a picture is damaged without telling where it lies', async () => {
    world.pictures.delete(createHash('sha256').update(PNG).digest('hex'));
    expect((await app.inject('/v1/catalogues/shop/items/car/image')).statusCode).toBe(404);
  });
});
