import { join } from 'node:path';
import type {} from '@fastify/static';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { RUNTIME_FILES, browserModule, runtimeFolder } from '../infra/web/browser-modules.ts';
import { projectRoot } from '../infra/provision/project-root.ts';

/**
 * Serves the page at `/` and its files under `/page/`. They are not compiled: source and `dist` share those of the package. What the page
 * needs to embed photos itself stands below: `/page/shared/`, modules that servers run too, and `/page/ort/`, ONNX Runtime.
 */
export function servePage(app: NestFastifyApplication): void {
  const root = join(projectRoot(), 'api', 'page');
  app.useStaticAssets({ root, prefix: '/page/', index: false, cacheControl: false });
  app
    .getHttpAdapter()
    .getInstance()
    .get('/', (_request, reply) => reply.sendFile('index.html', root));
  serveShared(app.getHttpAdapter().getInstance());
  serveRuntime(app.getHttpAdapter().getInstance());
}

function serveShared(server: FastifyInstance): void {
  server.get<{ Params: { '*': string } }>('/page/shared/*', async (request, reply) => {
    // They name each other with the extension that they have where this server runs.
    const text = await browserModule(request.params['*'].replace(/\.[jt]s$/, ''));
    if (text === undefined) return reply.callNotFound();
    return reply.type('text/javascript; charset=utf-8').header('cache-control', 'no-cache').send(text);
  });
}

function serveRuntime(server: FastifyInstance): void {
  server.get<{ Params: { file: string } }>('/page/ort/:file', (request, reply) =>
    RUNTIME_FILES.includes(request.params.file)
      ? reply.sendFile(request.params.file, runtimeFolder())
      : reply.callNotFound(),
  );
}
