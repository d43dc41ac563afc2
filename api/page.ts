import { join } from 'node:path';
import type {} from '@fastify/static';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { projectRoot } from '../infra/provision/project-root.ts';

/** Serves the page at `/` and its files under `/page/`. They are not compiled: source and `dist` share those of the package. */
export function servePage(app: NestFastifyApplication): void {
  const root = join(projectRoot(), 'api', 'page');
  app.useStaticAssets({ root, prefix: '/page/', index: false, cacheControl: false });
  app
    .getHttpAdapter()
    .getInstance()
    .get('/', (_request, reply) => reply.sendFile('index.html', root));
}
