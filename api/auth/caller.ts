import { createParamDecorator } from '@nestjs/common';
import type { ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** Injects who asks, for records of what they asked for: the id of the API key, or that none was demanded. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  const { apiKeyId } = context.switchToHttp().getRequest<FastifyRequest>();
  return apiKeyId === null ? 'API without a key' : `key ${apiKeyId}`;
});
