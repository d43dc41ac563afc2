import type { INestApplication } from '@nestjs/common';
import { ThrottlerException, ThrottlerStorage } from '@nestjs/throttler';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiLimits } from '../settings.ts';
import type { RouteAccess } from './access.ts';

const MINUTE_MS = 60_000;
/** Several keys may share an address (a proxy, an office); wrong keys and refused requests count for it too. */
const KEYS_PER_ADDRESS = 10;

/**
 * Counts requests before anything that costs: `addresses` before a key is looked up, `callers` (by key, or by address where none
 * was shown) before a body is read. Routes without a scope are not counted.
 */
export function rateLimits(
  app: INestApplication,
  limits: ApiLimits,
): Record<'addresses' | 'callers', (server: FastifyInstance) => void> {
  const storage = app.get<ThrottlerStorage>(ThrottlerStorage);

  async function count(reply: FastifyReply, name: string, tracker: string, limit: number): Promise<void> {
    const found = await storage.increment(`${name} ${tracker}`, MINUTE_MS, limit, MINUTE_MS, name);
    if (!found.isBlocked) return;
    reply.header('retry-after', found.timeToBlockExpire);
    throw new ThrottlerException(
      `Expected at most ${limit} requests in ${MINUTE_MS / 1000} s; wait ${found.timeToBlockExpire} s and try again.`,
    );
  }

  return {
    addresses: (server) =>
      server.addHook('onRequest', async (request, reply) => {
        if (accessOf(request).scope === undefined) return;
        await count(reply, 'address', request.ip, limits.requestsPerMinute * KEYS_PER_ADDRESS);
      }),
    callers: (server) =>
      server.addHook('onRequest', async (request, reply) => {
        const { scope, uncounted, frequent } = accessOf(request);
        if (scope === undefined || uncounted === true) return;
        const caller = request.apiKeyId === null ? `ip ${request.ip}` : `key ${request.apiKeyId}`;
        await count(reply, 'all', caller, limits.requestsPerMinute);
        if (scope === 'write' && frequent !== true) await count(reply, 'write', caller, limits.writesPerMinute);
      }),
  };
}

function accessOf(request: FastifyRequest): RouteAccess {
  return request.routeOptions.config as RouteAccess;
}
