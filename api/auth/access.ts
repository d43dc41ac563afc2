import { applyDecorators } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiExtension, ApiSecurity } from '@nestjs/swagger';
import type { ApiScope } from '../../contracts/registry.ts';

/** What a route demands before its body is read; Fastify carries it as the route's `config`. */
export interface RouteAccess {
  scope?: ApiScope;
  /** Whether `multipart/form-data` is accepted beside JSON. */
  form?: boolean;
}

/** Demands an API key with the scope (where keys are demanded at all). */
export function Access(scope: ApiScope, options: { form?: boolean } = {}): MethodDecorator {
  return applyDecorators(
    RouteConfig({ scope, ...options } satisfies RouteAccess),
    ApiSecurity('bearer'),
    ApiSecurity('apiKey'),
    ApiExtension('x-scope', scope),
  );
}
