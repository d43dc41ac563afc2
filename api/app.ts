import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { ApiModule } from './api.module.ts';
import { authenticate } from './auth/authenticate.ts';
import { rateLimits } from './auth/limit-rates.ts';
import { acceptForms } from './http/form-body.ts';
import { nestLogger } from './http/nest-logger.ts';
import { observeRequests } from './http/observe-requests.ts';
import { sendProblem } from './http/problem.filter.ts';
import { secureHeaders } from './http/secure-headers.ts';
import { acceptLines } from './items/item-body.ts';
import { serveOpenApi } from './openapi.ts';
import { servePage } from './page.ts';
import type { ApiPorts } from './ports.ts';
import { toProblem } from './problem.ts';
import { DEFAULT_LIMITS } from './settings.ts';
import type { ApiLimits, ApiSettings } from './settings.ts';

/** Long enough for percent-encoded item ids in a path. */
const MAX_PARAM_LENGTH = 4_096;

export interface ApiOptions {
  auth: ApiSettings['auth'];
  limits?: Partial<ApiLimits>;
}

/** Builds the application, initialised but not listening. */
export async function createApp(ports: ApiPorts, options: ApiOptions): Promise<NestFastifyApplication> {
  const settings: ApiSettings = { auth: options.auth, limits: { ...DEFAULT_LIMITS, ...options.limits } };
  const adapter = createAdapter(settings.limits);
  const app = await NestFactory.create<NestFastifyApplication>(ApiModule.over(ports, settings), adapter, {
    logger: nestLogger(ports.logger),
    abortOnError: false,
  });
  await using opened = new AsyncDisposableStack();
  opened.defer(() => app.close());
  const server = adapter.getInstance<FastifyInstance>();
  observeRequests(server, app, ports.logger);
  secureHeaders(server);
  const count = rateLimits(app, settings.limits);
  count.addresses(server);
  authenticate(server, settings.auth, ports.registry.apiKeys);
  count.callers(server);
  await acceptForms(server, settings.limits);
  acceptLines(server);
  servePage(app);
  serveOpenApi(app);
  await app.init();
  await server.ready();
  opened.move();
  return app;
}

function createAdapter(limits: ApiLimits): FastifyAdapter {
  const options: FastifyServerOptions = {
    bodyLimit: limits.bodyBytes,
    // A client that trickles its request must not hold a connection for ever.
    requestTimeout: 60_000,
    genReqId: (request) => requestId(request.headers['x-request-id']),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error, request, reply) => sendProblem(reply, toProblem(error, request.id)),
  };
  return new FastifyAdapter(options);
}

/** A caller's own id is kept when it is harmless in logs and headers. */
function requestId(given: string | string[] | undefined): string {
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
}
