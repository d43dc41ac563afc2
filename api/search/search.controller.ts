import { Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import type { SearchAnswer } from '../../contracts/serving.ts';
import { Access } from '../auth/access.ts';
import { RequestId } from '../http/request-id.ts';
import { RequestSignal } from '../http/request-signal.ts';
import { SearchBody } from './search-input.ts';
import type { SearchInput } from './search-input.ts';
import { SearchAnswerDto, SearchRequestDto } from './search.dto.ts';
import { SearchService } from './search.service.ts';

@ApiTags('search')
@Controller('v1/catalogues/:catalogue/search')
export class SearchController {
  private readonly service: SearchService;

  constructor(@Inject(SearchService) service: SearchService) {
    this.service = service;
  }

  @Post()
  @HttpCode(200)
  @Access('read', { form: true })
  @ApiOperation({ summary: 'Items that look like a picture, an item or a vector.' })
  @ApiConsumes('application/json', 'multipart/form-data')
  @ApiQuery({ name: 'explain', required: false, type: Boolean, description: 'Tell how the answer came to be.' })
  @ApiBody({ type: SearchRequestDto })
  @ApiOkResponse({ type: SearchAnswerDto })
  search(
    @Param('catalogue') catalogue: string,
    @SearchBody() input: SearchInput,
    @RequestSignal() signal: AbortSignal,
    @RequestId() requestId: string,
  ): Promise<SearchAnswer> {
    return this.service.search(catalogue, input, signal, requestId);
  }
}
