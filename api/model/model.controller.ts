import { createReadStream } from 'node:fs';
import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiProduces, ApiQuery, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PRECISIONS } from '../../contracts/model.ts';
import { Access } from '../auth/access.ts';
import { DeviceModelDto } from './model.dto.ts';
import { ModelService } from './model.service.ts';

@ApiTags('model')
@Controller('v1/catalogues/:catalogue/model')
export class ModelController {
  private readonly service: ModelService;

  constructor(@Inject(ModelService) service: ModelService) {
    this.service = service;
  }

  @Get()
  @Access('read')
  @ApiOperation({
    summary: 'The model that serves, for devices that embed pictures themselves and send the vector only.',
  })
  @ApiOkResponse({ type: DeviceModelDto })
  describe(@Param('catalogue') catalogue: string): Promise<DeviceModelDto> {
    return this.service.describe(catalogue);
  }

  @Get(':precision')
  @Access('read')
  @ApiOperation({ summary: 'The model as one ONNX file, image to embedding.' })
  @ApiParam({ name: 'precision', enum: PRECISIONS })
  @ApiQuery({ name: 'v', required: false, description: "The file's SHA-256; lets the answer be cached for ever." })
  @ApiProduces('application/octet-stream')
  @ApiOkResponse({ schema: { type: 'string', format: 'binary' } })
  async file(
    @Param('catalogue') catalogue: string,
    @Param('precision') precision: string,
    @Query('v') version: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { path, file } = await this.service.open(catalogue, precision);
    const etag = `"${file.sha256}"`;
    void reply
      .header('etag', etag)
      .header('cache-control', version === file.sha256 ? 'private, max-age=31536000, immutable' : 'private, no-cache');
    if (request.headers['if-none-match'] === etag) return void reply.code(304).send();
    void reply
      .type('application/octet-stream')
      .header('content-length', file.sizeBytes)
      .header('content-disposition', `attachment; filename="lookalike-${file.precision}.onnx"`)
      .send(createReadStream(path));
  }
}
