import { afterEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { OpenAPIObject } from '@nestjs/swagger';
import { pino } from 'pino';
import { createApp } from '../../api/app.ts';
import type { ApiOptions } from '../../api/app.ts';
import { authFor, isLoopback } from '../../api/settings.ts';
import type { Problem } from '../../api/problem.ts';
import { READ_KEY, WRITE_KEY, World, fruitsAndCars, strict } from './fakes.ts';

let app: NestFastifyApplication;
afterEach(() => app.close());

async function start(options: Partial<ApiOptions> = {}, lines?: string[]): Promise<World> {
  const world = new World(fruitsAndCars());
  const logger = lines && pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
  app = await createApp(world.ports(logger && { logger }), { auth: 'required', ...options });
  return world;
}

const retrain = (headers: Record<string, string>): Parameters<NestFastifyApplication['inject']>[0] & object => ({
  method: 'POST',
  url: '/v1/catalogues/shop/retrain',
  payload: {},
  headers,
});

describe('access by key', () => {
  it('refuses every described route but health without a key, before its body is read', async () => {
    await start();
    const { paths } = (await app.inject('/openapi.json')).json<OpenAPIObject>();
    const closed: string[] = [];
    for (const [path, operations] of Object.entries(paths)) {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE'] as const) {
        if (!(method.toLowerCase() in operations)) continue;
        const url = path.replace(/\{\w+\}/g, '1');
        const payload =
          method === 'POST' || method === 'PUT'
            ? { payload: '{"broken', headers: { 'content-type': 'application/json' } }
            : {};
        const response = await app.inject({ method, url, ...payload });
        if (response.statusCode === 401) closed.push(`${method} ${path}`);
        else expect(path).toMatch(/^\/health\//);
      }
    }
    expect(closed.length).toBeGreaterThanOrEqual(20);
  });

  it('says which header it wants when no key is shown', async () => {
    await start();
    const response = await app.inject('/v1/catalogues');
    expect(response.statusCode).toBe(401);
    expect(response.headers['www-authenticate']).toMatch(/^Bearer/);
    expect(response.json<Problem>()).toMatchObject({
      code: 'unauthorized',
      detail: expect.stringContaining('X-API-Key') as string,
    });
  });

  it('refuses a wrong key', async () => {
    await start();
    const response = await app.inject({ url: '/v1/catalogues', headers: { 'x-api-key': 'lk_guess' } });
    expect(response.statusCode).toBe(401);
    expect(response.json<Problem>().detail).toContain('unknown or revoked');
    expect(response.body).not.toContain('lk_guess');
  });

  it('takes a key from either header', async () => {
    await start();
    for (const headers of [{ authorization: `Bearer ${READ_KEY}` }, { 'x-api-key': READ_KEY }]) {
      expect((await app.inject({ url: '/v1/catalogues', headers })).statusCode).toBe(200);
    }
  });

  it('lets only a key with the scope write start a retrain', async () => {
    const world = await start();
    const refused = await app.inject(retrain({ 'x-api-key': READ_KEY }));
    expect(refused.statusCode).toBe(403);
    expect(refused.json<Problem>()).toMatchObject({
      code: 'forbidden',
      detail: expect.stringContaining('"write"') as string,
    });
    expect(world.retrains).toEqual([]);
    expect((await app.inject(retrain({ 'x-api-key': WRITE_KEY }))).statusCode).toBe(202);
    expect(world.retrains).toHaveLength(1);
  });

  it('leaves health, page and documentation open', async () => {
    await start();
    for (const url of ['/health/live', '/health/ready', '/', '/docs', '/openapi.json']) {
      expect((await app.inject(url)).statusCode, url).toBe(200);
    }
  });

  it('never logs a key', async () => {
    const lines: string[] = [];
    await start({}, lines);
    await app.inject({ url: '/v1/catalogues', headers: { authorization: `Bearer ${READ_KEY}` } });
    await app.inject({ url: '/v1/catalogues', headers: { 'x-api-key': 'lk_guess' } });
    const log = lines.join('');
    expect(log).toContain('/v1/catalogues');
    expect(log).not.toContain(READ_KEY);
    expect(log).not.toContain('lk_guess');
  });
});

describe('access without keys', () => {
  it.each(['localhost:7700', '127.0.0.1:7700', '[::1]:7700', 'shop.localhost'])(
    'answers under the name %s',
    async (host) => {
      await start({ auth: 'off' });
      expect((await app.inject({ url: '/v1/catalogues', headers: { host } })).statusCode).toBe(200);
    },
  );

  it.each(['attacker.example', '127.0.0.1.attacker.example', '10.0.0.1:7700'])(
    'refuses the name %j, to which a page elsewhere could have been rebound',
    async (host) => {
      await start({ auth: 'off' });
      for (const url of ['/v1/catalogues', '/', '/health/live']) {
        expect((await app.inject({ url, headers: { host } })).statusCode).toBe(403);
      }
    },
  );

  it('refuses requests from pages of other origins, and takes those of its own', async () => {
    const world = await start({ auth: 'off' });
    for (const origin of ['https://attacker.example', 'http://localhost:9999', 'null']) {
      expect((await app.inject(retrain({ host: 'localhost:7700', origin }))).statusCode, origin).toBe(403);
    }
    expect(world.retrains).toEqual([]);
    const own = retrain({ host: 'localhost:7700', origin: 'http://localhost:7700' });
    expect((await app.inject(own)).statusCode).toBe(202);
  });
});

describe('limits', () => {
  it('counts requests by address and says when to come back', async () => {
    await start({ auth: 'off', limits: { requestsPerMinute: 2 } });
    await app.inject('/v1/catalogues');
    await app.inject('/v1/catalogues/shop/items');
    const response = await app.inject('/v1/catalogues');
    expect(response.statusCode).toBe(429);
    expect(response.json<Problem>()).toMatchObject({
      code: 'rateLimited',
      detail: expect.stringContaining('at most 2') as string,
    });
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    expect((await app.inject('/health/live')).statusCode).toBe(200);
  });

  it('counts each key on its own', async () => {
    await start({ limits: { requestsPerMinute: 1 } });
    const get = async (key: string): Promise<number> =>
      (await app.inject({ url: '/v1/catalogues', headers: { 'x-api-key': key } })).statusCode;
    expect([await get(READ_KEY), await get(READ_KEY), await get(WRITE_KEY)]).toEqual([200, 429, 200]);
  });

  it('counts wrong keys by address, and then looks none up', async () => {
    const world = new World(fruitsAndCars());
    const registry = world.registry();
    const asked: string[] = [];
    const apiKeys = strict<typeof registry.apiKeys>('apiKeys', {
      verify: async (key) => {
        asked.push(key);
        return undefined;
      },
    });
    const ports = world.ports({ registry: strict<typeof registry>('registry', { ...registry, apiKeys }) });
    app = await createApp(ports, { auth: 'required', limits: { requestsPerMinute: 1 } });
    const guess = async (i: number): Promise<number> =>
      (await app.inject({ url: '/v1/catalogues', headers: { 'x-api-key': `lk_guess${i}` } })).statusCode;
    const statuses: number[] = [];
    for (let i = 0; i < 15; i++) statuses.push(await guess(i));
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401));
    expect(statuses.slice(10)).toEqual(Array(5).fill(429));
    expect(asked).toHaveLength(10);
  });

  it('refuses one request too many before its form is read', async () => {
    await start({ auth: 'off', limits: { requestsPerMinute: 1 } });
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    const broken = { method: 'POST', url: '/v1/catalogues/shop/search', headers, payload: '--b\r\nbroken' } as const;
    expect((await app.inject(broken)).statusCode).toBe(400);
    expect((await app.inject(broken)).statusCode).toBe(429);
  });

  it('allows fewer writes than reads', async () => {
    await start({ auth: 'off', limits: { writesPerMinute: 1 } });
    expect((await app.inject(retrain({}))).statusCode).toBe(202);
    expect((await app.inject(retrain({}))).statusCode).toBe(429);
    expect((await app.inject('/v1/catalogues')).statusCode).toBe(200);
  });
});

describe('whether keys are demanded', () => {
  it.each([
    ['127.0.0.1', 'auto', 'off'],
    ['localhost', 'auto', 'off'],
    ['::1', 'auto', 'off'],
    ['127.0.0.1', 'on', 'required'],
    ['0.0.0.0', 'auto', 'required'],
    ['::', 'auto', 'required'],
    ['192.168.1.4', 'auto', 'required'],
  ] as const)('on %s with auth %s they are %s', async (host, auth, expected) => {
    await start();
    expect(authFor({ host, auth })).toBe(expected);
  });

  it('takes no look-alike name for this machine', async () => {
    await start();
    for (const name of ['localhost.attacker.example', '127.0.0.1.nip.example', 'xlocalhost', '1127.0.0.1', '']) {
      expect(isLoopback(name), name).toBe(false);
    }
  });
});
