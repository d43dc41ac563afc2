import { Body, Controller, Get, HttpCode, Inject, Param, Post, Sse } from '@nestjs/common';
import type { MessageEvent } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Observable } from 'rxjs';
import type { Generation } from '../../contracts/serving.ts';
import { Access } from '../auth/access.ts';
import { Caller } from '../auth/caller.ts';
import type { RetrainStarted, RetrainStatus } from '../ports.ts';
import { RetrainEventsService } from './retrain-events.service.ts';
import {
  GenerationDto,
  GenerationListDto,
  GenerationParamsDto,
  RecipeListDto,
  RetrainRequestDto,
  RetrainStartedDto,
  RetrainStatusDto,
} from './training.dto.ts';
import { TrainingService } from './training.service.ts';

@ApiTags('training')
@Controller('v1')
export class TrainingController {
  private readonly service: TrainingService;
  private readonly events: RetrainEventsService;

  constructor(
    @Inject(TrainingService) service: TrainingService,
    @Inject(RetrainEventsService) events: RetrainEventsService,
  ) {
    this.service = service;
    this.events = events;
  }

  @Post('catalogues/:catalogue/retrain')
  @HttpCode(202)
  @Access('write')
  @ApiOperation({ summary: 'Starts a retraining run, or names the one under way.' })
  @ApiAcceptedResponse({ type: RetrainStartedDto })
  start(
    @Param('catalogue') catalogue: string,
    @Body() request: RetrainRequestDto,
    @Caller() by: string,
  ): Promise<RetrainStarted> {
    return this.service.start(catalogue, request, by);
  }

  @Get('catalogues/:catalogue/retrain')
  @Access('read')
  @ApiOperation({ summary: 'The newest retraining run: its steps, live training figures and outcome.' })
  @ApiOkResponse({ type: RetrainStatusDto })
  status(@Param('catalogue') catalogue: string): Promise<RetrainStatus> {
    return this.service.status(catalogue);
  }

  @Sse('catalogues/:catalogue/retrain/events')
  @Access('read')
  @ApiOperation({ summary: 'The same as server-sent events: `status` on each change, `problem`, `ping`.' })
  @ApiProduces('text/event-stream')
  @ApiOkResponse({ schema: { type: 'string' } })
  follow(@Param('catalogue') catalogue: string): Observable<MessageEvent> {
    return this.events.follow(catalogue);
  }

  @Get('catalogues/:catalogue/generations')
  @Access('read')
  @ApiOperation({ summary: 'Generations, newest first.' })
  @ApiOkResponse({ type: GenerationListDto })
  async generations(@Param('catalogue') catalogue: string): Promise<{ generations: Generation[] }> {
    return { generations: await this.service.generations(catalogue) };
  }

  @Get('catalogues/:catalogue/generations/:number')
  @Access('read')
  @ApiOperation({ summary: 'One generation: its artefacts and what was measured.' })
  @ApiOkResponse({ type: GenerationDto })
  generation(@Param() { catalogue, number }: GenerationParamsDto): Promise<Generation> {
    return this.service.generation(catalogue, number);
  }

  @Get('recipes')
  @Access('read')
  @ApiOperation({ summary: 'The recipes a retraining run may name, with their configuration.' })
  @ApiOkResponse({ type: RecipeListDto })
  recipes(): { recipes: ReturnType<TrainingService['recipes']> } {
    return { recipes: this.service.recipes() };
  }
}
