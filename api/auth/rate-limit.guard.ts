import { Injectable } from '@nestjs/common';
import type { ExecutionContext } from '@nestjs/common';
import { ThrottlerException, ThrottlerGuard } from '@nestjs/throttler';
import type { ThrottlerLimitDetail } from '@nestjs/throttler';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Counts by API key, and by address where no key was shown. */
@Injectable()
export class RateLimitGuard extends ThrottlerGuard {
  protected override getTracker(request: FastifyRequest): Promise<string> {
    return Promise.resolve(request.apiKeyId === null ? `ip ${request.ip}` : `key ${request.apiKeyId}`);
  }

  protected override throwThrottlingException(context: ExecutionContext, detail: ThrottlerLimitDetail): Promise<void> {
    // Two limits are named, so the base class would only set `Retry-After-<name>`, which no client reads.
    context.switchToHttp().getResponse<FastifyReply>().header('retry-after', detail.timeToBlockExpire);
    const seconds = Math.ceil(detail.ttl / 1000);
    throw new ThrottlerException(
      `Expected at most ${detail.limit} requests in ${seconds} s; wait ${detail.timeToBlockExpire} s and try again.`,
    );
  }
}
