import { applyDecorators } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiExtension, ApiSecurity } from '@nestjs/swagger';
import type { ApiScope } from '../../contracts/registry.ts';

/** What a route demands before its body is read; Fastify carries it as the route's `config`. */
export interface RouteAccess {
  scope?: ApiScope;
  /** Whether `multipart/form-data` is accepted beside JSON. */
  form?: boolean;
  /** Whether NDJSON is accepted beside JSON. */
  lines?: boolean;
  /** Whether its writes come by the thousand: they count as requests, not for the small limit of writes. */
  frequent?: boolean;
  /** Whether its caller's limit leaves it out: for what watches the server when it is busiest. */
  uncounted?: boolean;
}

/** Demands an API key with the scope (where keys are demanded at all). */
export function Access(scope: ApiScope, options: Omit<RouteAccess, 'scope'> = {}): MethodDecorator {
  return applyDecorators(
    RouteConfig({ scope, ...options } satisfies RouteAccess),
    ApiSecurity('bearer'),
    ApiSecurity('apiKey'),
    ApiExtension('x-scope', scope),
  );
}
