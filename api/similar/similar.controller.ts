import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Access } from '../auth/access.ts';
import type { SimilarAnswer } from '../../contracts/similar.ts';
import { effortOf } from '../../infra/shards/search-effort.ts';
import { RequestSignal } from '../http/request-signal.ts';
import type { RetrainStarted } from '../ports.ts';
import { SimilarAnswerDto, SimilarQueryDto, SimilarRequestDto, SimilarStartedDto } from './similar.dto.ts';
import { SimilarService } from './similar.service.ts';

@ApiTags('search')
@Controller('v1/catalogues/:catalogue')
export class SimilarController {
  private readonly service: SimilarService;

  constructor(@Inject(SimilarService) service: SimilarService) {
    this.service = service;
  }

  @Get('items/:id/similar')
  @Access('read')
  @ApiOperation({
    summary: 'What looks like an item: from the finished batch of the index that serves, else searched now.',
  })
  @ApiOkResponse({ type: SimilarAnswerDto })
  similar(
    @Param('catalogue') catalogue: string,
    @Param('id') id: string,
    @Query() query: SimilarQueryDto,
    @RequestSignal() signal: AbortSignal,
  ): Promise<SimilarAnswer> {
    const [live, withinCategory] = [query.live === 'true', query.withinCategory === 'true'];
    const wanted = { k: query.k, live, withinCategory, effort: effortOf(query) };
    return this.service.similar(catalogue, id, wanted, signal);
  }

  @Post('similar-items')
  @HttpCode(202)
  @Access('write')
  @ApiOperation({ summary: "Finds every item's neighbours in advance, or names the run under way." })
  @ApiAcceptedResponse({ type: SimilarStartedDto })
  start(@Param('catalogue') catalogue: string, @Body() request: SimilarRequestDto): Promise<RetrainStarted> {
    return this.service.start(catalogue, request);
  }
}
