import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Query } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { RequestKey } from '../../contracts/changes.ts';
import { Access } from '../auth/access.ts';
import { RequestSignal } from '../http/request-signal.ts';
import { validate } from '../validation.ts';
import { Idempotency, ItemBody, NDJSON, WriteLines } from './item-body.ts';
import {
  BulkAnswerDto,
  ChangesStatusDto,
  ItemId,
  PutItemDto,
  WriteAnswerDto,
  WriteLineDto,
  WriteQueryDto,
} from './items.dto.ts';
import { ItemsService } from './items.service.ts';
import type { WriteLine } from './write-lines.ts';

const IDEMPOTENCY = {
  name: 'Idempotency-Key',
  required: false,
  description: 'A request that comes again with its key within a day is answered as it was, and writes nothing.',
};

@ApiTags('items')
@Controller('v1/catalogues/:catalogue')
export class ItemsController {
  private readonly service: ItemsService;

  constructor(@Inject(ItemsService) service: ItemsService) {
    this.service = service;
  }

  @Put('items/:id')
  @Access('write', { form: true, frequent: true })
  @ApiOperation({
    summary: 'Makes an item, or replaces it; without a picture it keeps the one that it has. Durable once answered.',
  })
  @ApiConsumes('application/json', 'multipart/form-data')
  @ApiBody({ type: PutItemDto })
  @ApiHeader(IDEMPOTENCY)
  @ApiOkResponse({ type: WriteAnswerDto })
  put(
    @Param('catalogue') catalogue: string,
    @Param('id') id: string,
    @ItemBody() item: PutItemDto & { image?: Buffer },
    @Query() { waitMs }: WriteQueryDto,
    @Idempotency() key: RequestKey | undefined,
    @RequestSignal() signal: AbortSignal,
  ): Promise<WriteAnswerDto> {
    return this.service.put(catalogue, { ...item, id: validate(ItemId, id) }, { key, waitMs, signal });
  }

  @Delete('items/:id')
  @Access('write', { frequent: true })
  @ApiOperation({ summary: 'Deletes an item: no search finds it once this is answered.' })
  @ApiHeader(IDEMPOTENCY)
  @ApiOkResponse({ type: WriteAnswerDto })
  remove(
    @Param('catalogue') catalogue: string,
    @Param('id') id: string,
    @Query() { waitMs }: WriteQueryDto,
    @Idempotency() key: RequestKey | undefined,
    @RequestSignal() signal: AbortSignal,
  ): Promise<WriteAnswerDto> {
    return this.service.remove(catalogue, validate(ItemId, id), { key, waitMs, signal });
  }

  @Post('items')
  @HttpCode(200)
  @Access('write', { lines: true, frequent: true })
  @ApiOperation({
    summary:
      'Puts and deletes many items, one JSON object a line, in order. Bad lines are told of; the others are taken together.',
  })
  @ApiConsumes(NDJSON, 'application/json')
  @ApiBody({ type: WriteLineDto })
  @ApiHeader(IDEMPOTENCY)
  @ApiOkResponse({ type: BulkAnswerDto })
  bulk(
    @Param('catalogue') catalogue: string,
    @WriteLines() lines: WriteLine[],
    @Query() { waitMs }: WriteQueryDto,
    @Idempotency() key: RequestKey | undefined,
    @RequestSignal() signal: AbortSignal,
  ): Promise<BulkAnswerDto> {
    return this.service.bulk(catalogue, lines, { key, waitMs, signal });
  }

  @Get('changes')
  @Access('read')
  @ApiOperation({ summary: 'How far acknowledged changes are searched.' })
  @ApiOkResponse({ type: ChangesStatusDto })
  status(@Param('catalogue') catalogue: string): Promise<ChangesStatusDto> {
    return this.service.status(catalogue);
  }
}
