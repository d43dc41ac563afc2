import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Access } from '../auth/access.ts';
import type { RetrainStarted, TuneStatus } from '../ports.ts';
import { RetrainStartedDto } from '../training/training.dto.ts';
import { NewestTuneDto, TuneRequestDto, TuneStatusDto } from './tuning.dto.ts';
import { TuningService } from './tuning.service.ts';

@ApiTags('training')
@Controller('v1/catalogues/:catalogue/tune')
export class TuningController {
  private readonly service: TuningService;

  constructor(@Inject(TuningService) service: TuningService) {
    this.service = service;
  }

  @Post()
  @HttpCode(202)
  @Access('write')
  @ApiOperation({ summary: 'Starts a search for hyper-parameters, or names the one under way.' })
  @ApiAcceptedResponse({ type: RetrainStartedDto })
  start(@Param('catalogue') catalogue: string, @Body() wish: TuneRequestDto): Promise<RetrainStarted> {
    return this.service.start(catalogue, wish);
  }

  @Get()
  @Access('read')
  @ApiOperation({ summary: 'The newest search: its trials, how many run at once, the best, and its outcome.' })
  @ApiOkResponse({ type: NewestTuneDto })
  async newest(@Param('catalogue') catalogue: string): Promise<{ search: TuneStatus | null }> {
    return { search: await this.service.newest(catalogue) };
  }

  @Delete()
  @HttpCode(202)
  @Access('write')
  @ApiOperation({ summary: 'Asks the search to stop; it ends with the best so far.' })
  @ApiAcceptedResponse({ type: TuneStatusDto })
  cancel(@Param('catalogue') catalogue: string): Promise<TuneStatus> {
    return this.service.cancel(catalogue);
  }
}
