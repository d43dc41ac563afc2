import { UnsupportedMediaTypeException } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LookalikeError } from '../../contracts/errors.ts';
import type { ApiKeyStore } from '../../contracts/registry.ts';
import { isLoopback } from '../settings.ts';
import type { ApiSettings } from '../settings.ts';
import type { RouteAccess } from './access.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Id of the API key that was shown; null without one. */
    apiKeyId: string | null;
  }
}

/**
 * Checks, before a body is read, that a request comes from where it may and shows a key with the route's scope.
 *
 * Without keys everything rests on "only this machine's users can connect". A web page in their browser breaks that in two
 * ways, and both are closed here: a foreign name that resolves to 127.0.0.1 (DNS rebinding) fails the Host check, and a
 * form or script on another site fails the Origin check. See docs/api.md.
 */
export function authenticate(server: FastifyInstance, auth: ApiSettings['auth'], keys: ApiKeyStore): void {
  server.decorateRequest('apiKeyId', null);
  server.addHook('onRequest', async (request) => {
    if (auth === 'off') requireLocalPage(request);
    const access = request.routeOptions.config as RouteAccess;
    if (auth === 'required' && access.scope !== undefined) await requireKey(request, access.scope, keys);
  });
  server.addHook('onRequest', (request, _reply, done) => {
    requireContentType(request);
    done();
  });
}

function requireLocalPage(request: FastifyRequest): void {
  const name = hostName(request.headers.host ?? '');
  if (!isLoopback(name)) {
    throw new LookalikeError(
      'forbidden',
      `Expected the Host header to name this machine (localhost, 127.0.0.1), got "${name}": without API keys only local names are answered.`,
    );
  }
  const { origin } = request.headers;
  if (origin !== undefined && origin !== `http://${request.headers.host}`) {
    throw new LookalikeError(
      'forbidden',
      `Expected a request from this server's own pages, got one from "${origin}": without API keys other sites are refused.`,
    );
  }
}

function hostName(host: string): string {
  return host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d*$/, '');
}

async function requireKey(
  request: FastifyRequest,
  scope: NonNullable<RouteAccess['scope']>,
  keys: ApiKeyStore,
): Promise<void> {
  const key = shownKey(request);
  if (key === undefined) {
    throw new LookalikeError(
      'unauthorized',
      'Expected an API key in `Authorization: Bearer …` or `X-API-Key`, got none.',
    );
  }
  const owner = await keys.verify(key);
  if (owner === undefined) {
    throw new LookalikeError('unauthorized', 'Expected a valid API key, got one that is unknown or revoked.');
  }
  if (!owner.scopes.includes(scope)) {
    throw new LookalikeError(
      'forbidden',
      `Expected a key with the scope "${scope}", got one with ${owner.scopes.join(', ') || 'none'}.`,
    );
  }
  request.apiKeyId = owner.id;
}

function shownKey(request: FastifyRequest): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const header = request.headers['x-api-key'];
  return bearer ?? (typeof header === 'string' && header !== '' ? header : undefined);
}

/** A browser sends forms and plain text across sites without asking; demanding JSON closes that road. */
function requireContentType(request: FastifyRequest): void {
  if (!['POST', 'PUT'].includes(request.method) || request.is404) return;
  const access = request.routeOptions.config as RouteAccess;
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const accepted = [
    'application/json',
    ...(access.form === true ? ['multipart/form-data'] : []),
    ...(access.lines === true ? ['application/x-ndjson'] : []),
  ];
  if (accepted.includes(type)) return;
  throw new UnsupportedMediaTypeException(`Expected the content type ${accepted.join(' or ')}, got ${type || 'none'}.`);
}
