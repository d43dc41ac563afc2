import { Body, Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { GenerationSwitch } from '../../contracts/serving.ts';
import type { LineageNode } from '../../infra/artifacts/lineage.ts';
import type { Switched } from '../../infra/generations/promote.ts';
import { Access } from '../auth/access.ts';
import { Caller } from '../auth/caller.ts';
import { GenerationParamsDto } from '../training/training.dto.ts';
import { LineageDto, PromoteRequestDto, RollbackRequestDto, SwitchListDto, SwitchedDto } from './generations.dto.ts';
import { GenerationsService } from './generations.service.ts';

@ApiTags('generations')
@Controller('v1/catalogues/:catalogue')
export class GenerationsController {
  private readonly service: GenerationsService;

  constructor(@Inject(GenerationsService) service: GenerationsService) {
    this.service = service;
  }

  @Post('generations/:number/promote')
  @HttpCode(200)
  @Access('write')
  @ApiOperation({ summary: 'Makes a generation that served before serve again; answers once it does.' })
  @ApiOkResponse({ type: SwitchedDto })
  promote(
    @Param() { catalogue, number }: GenerationParamsDto,
    @Body() { reason }: PromoteRequestDto,
    @Caller() by: string,
  ): Promise<Switched> {
    return this.service.promote(catalogue, number, by, reason);
  }

  @Post('rollback')
  @HttpCode(200)
  @Access('write')
  @ApiOperation({ summary: 'Goes back to what served before, or to the generation named; answers once it serves.' })
  @ApiOkResponse({ type: SwitchedDto })
  rollBack(
    @Param('catalogue') catalogue: string,
    @Body() { to, reason }: RollbackRequestDto,
    @Caller() by: string,
  ): Promise<Switched> {
    return this.service.rollBack(catalogue, to, by, reason);
  }

  @Get('generations/:number/lineage')
  @Access('read')
  @ApiOperation({ summary: 'What a generation was made from: inputs, configuration, seed, code version and figures.' })
  @ApiOkResponse({ type: LineageDto })
  async lineage(@Param() { catalogue, number }: GenerationParamsDto): Promise<{ roots: LineageNode[] }> {
    return { roots: await this.service.lineage(catalogue, number) };
  }

  @Get('switches')
  @Access('read')
  @ApiOperation({ summary: 'Which generation came to serve when, by whom and why; newest first.' })
  @ApiOkResponse({ type: SwitchListDto })
  async switches(@Param('catalogue') catalogue: string): Promise<{ switches: GenerationSwitch[] }> {
    return { switches: await this.service.switches(catalogue) };
  }
}
