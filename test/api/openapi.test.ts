import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Validator } from '@seriousme/openapi-schema-validator';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { OpenAPIObject } from '@nestjs/swagger';
import { createApp } from '../../api/app.ts';
import { World, fruitsAndCars } from './fakes.ts';

let app: NestFastifyApplication;
let document: OpenAPIObject;
beforeAll(async () => {
  app = await createApp(new World(fruitsAndCars()).ports(), { auth: 'off' });
  document = (await app.inject('/openapi.json')).json();
});
afterAll(() => app.close());

describe('the OpenAPI document', () => {
  it('is valid', async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(document) as object as Record<string, unknown>);
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(() => validator.resolveRefs()).not.toThrow();
  });

  it('describes every route that the server has', () => {
    const routes = app.getHttpAdapter().getInstance().printRoutes({ commonPrefix: false });
    const described = Object.keys(document.paths).sort();
    expect(described).toEqual([
      '/health/live',
      '/health/ready',
      '/metrics',
      '/v1/catalogues',
      '/v1/catalogues/{catalogue}/categories',
      '/v1/catalogues/{catalogue}/changes',
      '/v1/catalogues/{catalogue}/generations',
      '/v1/catalogues/{catalogue}/generations/{number}',
      '/v1/catalogues/{catalogue}/generations/{number}/lineage',
      '/v1/catalogues/{catalogue}/generations/{number}/promote',
      '/v1/catalogues/{catalogue}/items',
      '/v1/catalogues/{catalogue}/items/{id}',
      '/v1/catalogues/{catalogue}/items/{id}/image',
      '/v1/catalogues/{catalogue}/items/{id}/similar',
      '/v1/catalogues/{catalogue}/model',
      '/v1/catalogues/{catalogue}/model/{precision}',
      '/v1/catalogues/{catalogue}/retrain',
      '/v1/catalogues/{catalogue}/retrain/events',
      '/v1/catalogues/{catalogue}/rollback',
      '/v1/catalogues/{catalogue}/schedules',
      '/v1/catalogues/{catalogue}/schedules/{trigger}',
      '/v1/catalogues/{catalogue}/schedules/{trigger}/{action}',
      '/v1/catalogues/{catalogue}/search',
      '/v1/catalogues/{catalogue}/similar-items',
      '/v1/catalogues/{catalogue}/switches',
      '/v1/catalogues/{catalogue}/tune',
      '/v1/recipes',
    ]);
    for (const path of described) {
      const last = path
        .replace(/\{(\w+)\}/g, ':$1')
        .split('/')
        .at(-1)!;
      expect(routes).toContain(last);
    }
  });

  it('names parameters, both kinds of body, the scope and the problem of a search', () => {
    const search = document.paths['/v1/catalogues/{catalogue}/search']!.post!;
    expect(search.parameters).toMatchObject([
      { name: 'catalogue', in: 'path', required: true },
      { name: 'explain', in: 'query', required: false },
    ]);
    expect(Object.keys((search.requestBody as { content: object }).content)).toEqual([
      'application/json',
      'multipart/form-data',
    ]);
    expect(JSON.stringify(search.requestBody)).toContain('binary');
    expect(search).toMatchObject({ 'x-scope': 'read', security: expect.arrayContaining([{ bearer: [] }]) as unknown });
    expect(search.responses).toHaveProperty(['default', 'content', 'application/problem+json']);
  });

  it('is shown on a page that loads nothing from elsewhere', async () => {
    const page = await app.inject('/docs');
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
    expect(page.body).not.toMatch(/(src|href)="https?:/);
    expect((await app.inject('/docs/swagger-ui-bundle.js')).statusCode).toBe(200);
  });
});
