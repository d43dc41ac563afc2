import { Module } from '@nestjs/common';
import type { DynamicModule, ExecutionContext } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { ThrottlerModule } from '@nestjs/throttler';
import type { ThrottlerModuleOptions } from '@nestjs/throttler';
import type { FastifyRequest } from 'fastify';
import type { RouteAccess } from './auth/access.ts';
import { RateLimitGuard } from './auth/rate-limit.guard.ts';
import { CatalogueController } from './catalogue/catalogue.controller.ts';
import { CatalogueService } from './catalogue/catalogue.service.ts';
import { ImageController } from './catalogue/image.controller.ts';
import { HealthController } from './health/health.controller.ts';
import { HealthService } from './health/health.service.ts';
import { Lifecycle } from './health/lifecycle.service.ts';
import { Metrics } from './health/metrics.service.ts';
import { ProblemFilter } from './http/problem.filter.ts';
import { BLOBS, EMBEDDER, IMAGE_FETCHER, LOGGER, REGISTRY, RETRAINER, SEARCHER, SETTINGS } from './ports.ts';
import type { ApiPorts } from './ports.ts';
import { QueryVectorService } from './search/query-vector.service.ts';
import { SearchController } from './search/search.controller.ts';
import { SearchService } from './search/search.service.ts';
import type { ApiLimits, ApiSettings } from './settings.ts';
import { RetrainEventsService } from './training/retrain-events.service.ts';
import { TrainingController } from './training/training.controller.ts';
import { TrainingService } from './training/training.service.ts';
import { ZodPipe } from './validation.ts';

const MINUTE_MS = 60_000;

/** The API over given ports. */
@Module({})
export class ApiModule {
  static over(ports: ApiPorts, settings: ApiSettings): DynamicModule {
    return {
      module: ApiModule,
      imports: [ThrottlerModule.forRoot(throttling(settings.limits))],
      controllers: [SearchController, CatalogueController, ImageController, TrainingController, HealthController],
      providers: [
        { provide: REGISTRY, useValue: ports.registry },
        { provide: BLOBS, useValue: ports.blobs },
        { provide: SEARCHER, useValue: ports.searcher },
        { provide: EMBEDDER, useValue: ports.embedder },
        { provide: IMAGE_FETCHER, useValue: ports.fetchImage },
        { provide: RETRAINER, useValue: ports.retrainer },
        { provide: LOGGER, useValue: ports.logger },
        { provide: SETTINGS, useValue: settings },
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_PIPE, useClass: ZodPipe },
        { provide: APP_GUARD, useClass: RateLimitGuard },
        CatalogueService,
        HealthService,
        Lifecycle,
        Metrics,
        QueryVectorService,
        RetrainEventsService,
        SearchService,
        TrainingService,
      ],
    };
  }
}

function throttling(limits: ApiLimits): ThrottlerModuleOptions {
  return {
    generateKey: (_, tracker, name) => `${name} ${tracker}`,
    throttlers: [
      { name: 'all', ttl: MINUTE_MS, limit: limits.requestsPerMinute },
      { name: 'write', ttl: MINUTE_MS, limit: limits.writesPerMinute, skipIf: (context) => !isWrite(context) },
    ],
  };
}

function isWrite(context: ExecutionContext): boolean {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  return (request.routeOptions.config as RouteAccess).scope === 'write';
}
