import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Put } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { RetrainSchedule } from '../../contracts/schedules.ts';
import { Access } from '../auth/access.ts';
import { Caller } from '../auth/caller.ts';
import {
  ScheduleActionParamsDto,
  ScheduleListDto,
  ScheduleMadeDto,
  ScheduleParamsDto,
  ScheduleRequestDto,
} from './schedules.dto.ts';
import { SchedulesService } from './schedules.service.ts';

@ApiTags('schedules')
@Controller('v1/catalogues/:catalogue/schedules')
export class SchedulesController {
  private readonly service: SchedulesService;

  constructor(@Inject(SchedulesService) service: SchedulesService) {
    this.service = service;
  }

  @Get()
  @Access('read')
  @ApiOperation({ summary: 'When the catalogue is retrained without being asked.' })
  @ApiOkResponse({ type: ScheduleListDto })
  async list(@Param('catalogue') catalogue: string): Promise<{ schedules: RetrainSchedule[] }> {
    return { schedules: await this.service.list(catalogue) };
  }

  @Put()
  @Access('write')
  @ApiOperation({ summary: 'Makes the schedule of this kind of rule, or changes the one that is there.' })
  @ApiOkResponse({ type: ScheduleMadeDto })
  set(
    @Param('catalogue') catalogue: string,
    @Body() request: ScheduleRequestDto,
  ): Promise<{ id: string; created: boolean }> {
    return this.service.set(catalogue, request);
  }

  @Post(':trigger/:action')
  @HttpCode(204)
  @Access('write')
  @ApiOperation({ summary: 'Pauses or resumes a schedule, or lets it look now.' })
  @ApiNoContentResponse()
  act(@Param() { catalogue, trigger, action }: ScheduleActionParamsDto, @Caller() by: string): Promise<void> {
    return this.service.act(catalogue, trigger, action, by);
  }

  @Delete(':trigger')
  @HttpCode(204)
  @Access('write')
  @ApiOperation({ summary: 'Removes a schedule; a run that it started goes on.' })
  @ApiNoContentResponse()
  remove(@Param() { catalogue, trigger }: ScheduleParamsDto): Promise<void> {
    return this.service.remove(catalogue, trigger);
  }
}
