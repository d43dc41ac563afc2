import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { ThrottlerModule } from '@nestjs/throttler';
import { CatalogueController } from './catalogue/catalogue.controller.ts';
import { CatalogueService } from './catalogue/catalogue.service.ts';
import { ImageController } from './catalogue/image.controller.ts';
import { GenerationsController } from './generations/generations.controller.ts';
import { GenerationsService } from './generations/generations.service.ts';
import { HealthController } from './health/health.controller.ts';
import { HealthService } from './health/health.service.ts';
import { Lifecycle } from './health/lifecycle.service.ts';
import { Metrics } from './health/metrics.service.ts';
import { ProblemFilter } from './http/problem.filter.ts';
import { ItemsController } from './items/items.controller.ts';
import { ItemsService } from './items/items.service.ts';
import { SearchableWatch } from './items/searchable-watch.service.ts';
import { ModelController } from './model/model.controller.ts';
import { ModelService } from './model/model.service.ts';
import {
  BLOBS,
  CALIBRATIONS,
  DEVICE_MODELS,
  EMBEDDER,
  IMAGE_FETCHER,
  LINEAGE,
  LOGGER,
  REGISTRY,
  RETRAINER,
  SCHEDULER,
  SEARCHER,
  SETTINGS,
  SIMILAR,
  SIMILAR_STARTER,
  SWITCHER,
  TUNER,
} from './ports.ts';
import type { ApiPorts } from './ports.ts';
import { SchedulesController } from './schedules/schedules.controller.ts';
import { SchedulesService } from './schedules/schedules.service.ts';
import { PageService } from './search/page.service.ts';
import { QueryVectorService } from './search/query-vector.service.ts';
import { RecallMonitor } from './search/recall-monitor.service.ts';
import { SearchController } from './search/search.controller.ts';
import { SearchService } from './search/search.service.ts';
import { SimilarController } from './similar/similar.controller.ts';
import { SimilarService } from './similar/similar.service.ts';
import type { ApiSettings } from './settings.ts';
import { RetrainEventsService } from './training/retrain-events.service.ts';
import { TrainingController } from './training/training.controller.ts';
import { TrainingService } from './training/training.service.ts';
import { TuningController } from './tuning/tuning.controller.ts';
import { TuningService } from './tuning/tuning.service.ts';
import { ZodPipe } from './validation.ts';

/** The API over given ports. */
@Module({})
export class ApiModule {
  static over(ports: ApiPorts, settings: ApiSettings): DynamicModule {
    return {
      module: ApiModule,
      imports: [ThrottlerModule.forRoot([])],
      controllers: [
        SearchController,
        SimilarController,
        CatalogueController,
        ItemsController,
        ImageController,
        ModelController,
        TrainingController,
        TuningController,
        GenerationsController,
        SchedulesController,
        HealthController,
      ],
      providers: [
        { provide: REGISTRY, useValue: ports.registry },
        { provide: BLOBS, useValue: ports.blobs },
        { provide: SEARCHER, useValue: ports.searcher },
        { provide: EMBEDDER, useValue: ports.embedder },
        { provide: IMAGE_FETCHER, useValue: ports.fetchImage },
        { provide: RETRAINER, useValue: ports.retrainer },
        { provide: SWITCHER, useValue: ports.switcher },
        { provide: TUNER, useValue: ports.tuner },
        { provide: SCHEDULER, useValue: ports.scheduler },
        { provide: SIMILAR, useValue: ports.similar },
        { provide: CALIBRATIONS, useValue: ports.calibrations },
        { provide: SIMILAR_STARTER, useValue: ports.similarStarter },
        { provide: DEVICE_MODELS, useValue: ports.deviceModels },
        { provide: LINEAGE, useValue: ports.lineage },
        { provide: LOGGER, useValue: ports.logger },
        { provide: SETTINGS, useValue: settings },
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_PIPE, useClass: ZodPipe },
        CatalogueService,
        GenerationsService,
        HealthService,
        ItemsService,
        Lifecycle,
        Metrics,
        ModelService,
        PageService,
        QueryVectorService,
        RecallMonitor,
        RetrainEventsService,
        SchedulesService,
        SearchService,
        SearchableWatch,
        SimilarService,
        TrainingService,
        TuningService,
      ],
    };
  }
}
