import { afterEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import { Lifecycle } from '../../api/health/lifecycle.service.ts';
import type { ApiPorts, Searcher } from '../../api/ports.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { World, fruitsAndCars } from './fakes.ts';

let app: NestFastifyApplication;
afterEach(() => app.close());

async function ready(change: (world: World) => Partial<ApiPorts>): Promise<{ status: number; body: unknown }> {
  const world = new World(fruitsAndCars());
  app = await createApp(world.ports(change(world)), { auth: 'off' });
  const response = await app.inject('/health/ready');
  return { status: response.statusCode, body: response.json() };
}

describe('health', () => {
  it('is ready when the serving generation answers a probe', async () => {
    expect(await ready(() => ({}))).toEqual({
      status: 200,
      body: { status: 'ready', registry: 'ok', serving: { catalogues: 1, answer: 1, partly: 0, silent: 0 } },
    });
  });

  it('is ready before anything serves: there is nothing it fails to do', async () => {
    const answer = await ready((world) => {
      world.table = undefined;
      return {};
    });
    expect(answer).toMatchObject({ status: 200, body: { status: 'ready', serving: { catalogues: 0 } } });
  });

  it('is degraded while some shards do not answer', async () => {
    const answer = await ready((world) => {
      const searcher = world.searcher();
      const coverage = { shardsAsked: 2, shardsAnswered: 1 };
      const search: Searcher['search'] = async (query) => ({ ...(await searcher.search(query)), coverage });
      return { searcher: { ...searcher, search } };
    });
    expect(answer).toMatchObject({ status: 200, body: { status: 'degraded', serving: { partly: 1 } } });
  });

  it('is not ready when nothing that should serve answers', async () => {
    const answer = await ready((world) => {
      const searcher = world.searcher();
      const search = () => Promise.reject(new LookalikeError('unavailable', 'Expected a shard to answer, none did.'));
      return { searcher: { ...searcher, search } };
    });
    expect(answer).toMatchObject({ status: 503, body: { status: 'not_ready', serving: { silent: 1 } } });
  });

  it('is not ready when the registry is out of reach', async () => {
    const answer = await ready((world) => {
      const registry = world.registry();
      const catalogues = () => Promise.reject(new LookalikeError('unavailable', 'Expected the database to answer.'));
      return { registry: { ...registry, catalogue: { ...registry.catalogue, catalogues } } };
    });
    expect(answer).toEqual({ status: 503, body: { status: 'not_ready', registry: 'unreachable', serving: null } });
  });

  it('says that it is shutting down before it stops to answer', async () => {
    await ready(() => ({}));
    app.get(Lifecycle).beginShutdown();
    for (const url of ['/health/live', '/health/ready']) {
      const response = await app.inject(url);
      expect([response.statusCode, response.json()]).toMatchObject([503, { status: 'shutting_down' }]);
    }
    expect((await app.inject('/v1/catalogues')).statusCode).toBe(200);
  });

  it('counts requests by route and times the stages of searches', async () => {
    await ready(() => ({}));
    await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload: { itemId: 'car' } });
    await app.inject('/nowhere/secret-id');
    const { payload, headers } = await app.inject('/metrics');
    expect(headers['content-type']).toContain('text/plain');
    expect(payload).toContain(
      'lookalike_http_requests_total{method="POST",route="/v1/catalogues/:catalogue/search",status="200"} 1',
    );
    expect(payload).toContain('lookalike_search_stage_seconds_count{stage="merge"} 1');
    expect(payload).toContain('lookalike_search_shards_total{answered="yes"} 2');
    expect(payload).not.toContain('secret-id');
  });
});

describe('unknown failures', () => {
  it('are answered without their cause, under an id that the log knows', async () => {
    await ready((world) => {
      const fail = () => Promise.reject(new Error('password=hunter2'));
      return { searcher: { ...world.searcher(), currentTable: fail, search: fail, vectorOf: fail } };
    });
    const response = await app.inject('/v1/catalogues');
    expect(response.statusCode).toBe(500);
    expect(response.body).not.toContain('hunter2');
    expect(response.json()).toMatchObject({ code: 'internal', requestId: response.headers['x-request-id'] });
  });
});
