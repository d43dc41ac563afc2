import type { INestApplication } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../../infra/log/logger.ts';
import { Metrics } from '../health/metrics.service.ts';

/** Counts, times and logs every request; headers and bodies, which may hold keys and pictures, are never logged. */
export function observeRequests(server: FastifyInstance, app: INestApplication, logger: Logger): void {
  const metrics = app.get(Metrics);
  server.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  server.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none';
    const ms = reply.elapsedTime;
    metrics.observeRequest({ method: request.method, route, status: reply.statusCode, seconds: ms / 1000 });
    const level = reply.statusCode >= 500 ? 'warn' : 'debug';
    logger[level]({ requestId: request.id, method: request.method, route, status: reply.statusCode, ms }, 'request');
    done();
  });
}
