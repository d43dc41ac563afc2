import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiQuery, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Access } from '../auth/access.ts';
import { CatalogueService } from './catalogue.service.ts';
import { imageVersion } from './image-path.ts';
import { pictureType } from './picture-type.ts';

@ApiTags('catalogue')
@Controller('v1/catalogues/:catalogue/items/:id/image')
export class ImageController {
  private readonly service: CatalogueService;

  constructor(@Inject(CatalogueService) service: CatalogueService) {
    this.service = service;
  }

  @Get()
  @Access('read')
  @ApiOperation({ summary: "An item's picture, as it was imported." })
  @ApiQuery({ name: 'v', required: false, description: 'Version of the picture; lets the answer be cached for ever.' })
  @ApiProduces('image/*')
  @ApiOkResponse({ schema: { type: 'string', format: 'binary' } })
  async image(
    @Param('catalogue') catalogue: string,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendPicture(request, reply, await this.service.image(catalogue, id));
  }
}

/** Nothing but known picture formats is ever shown by a browser: other bytes are offered as a download. */
function sendPicture(request: FastifyRequest, reply: FastifyReply, picture: { sha256: string; bytes: Buffer }): void {
  const { sha256, bytes } = picture;
  const etag = `"${sha256}"`;
  const { v } = request.query as { v?: unknown };
  void reply
    .header('etag', etag)
    .header('cache-control', v === imageVersion(sha256) ? 'private, max-age=31536000, immutable' : 'private, no-cache')
    .header('content-security-policy', "default-src 'none'; sandbox");
  if (request.headers['if-none-match'] === etag) return void reply.code(304).send();
  const type = pictureType(bytes);
  if (type === null) void reply.header('content-disposition', 'attachment');
  void reply.type(type ?? 'application/octet-stream').send(bytes);
}
