import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Access } from '../auth/access.ts';
import { CatalogueListDto, CategoryListDto, ItemDto, ItemPageDto, ItemsQueryDto } from './catalogue.dto.ts';
import { CatalogueService } from './catalogue.service.ts';

@ApiTags('catalogue')
@Controller('v1/catalogues')
export class CatalogueController {
  private readonly service: CatalogueService;

  constructor(@Inject(CatalogueService) service: CatalogueService) {
    this.service = service;
  }

  @Get()
  @Access('read')
  @ApiOperation({ summary: 'All catalogues, their sizes and what serves each.' })
  @ApiOkResponse({ type: CatalogueListDto })
  list(): Promise<CatalogueListDto> {
    return this.service.list();
  }

  @Get(':catalogue/items')
  @Access('read')
  @ApiOperation({ summary: 'Items by ascending id, page by page.' })
  @ApiOkResponse({ type: ItemPageDto })
  items(@Param('catalogue') catalogue: string, @Query() query: ItemsQueryDto): Promise<ItemPageDto> {
    return this.service.items(catalogue, query);
  }

  @Get(':catalogue/categories')
  @Access('read')
  @ApiOperation({ summary: 'Categories and how many items each has.' })
  @ApiOkResponse({ type: CategoryListDto })
  categories(@Param('catalogue') catalogue: string): Promise<CategoryListDto> {
    return this.service.categories(catalogue);
  }

  @Get(':catalogue/items/:id')
  @Access('read')
  @ApiOperation({ summary: 'One item. Slashes in the id are written as %2F.' })
  @ApiOkResponse({ type: ItemDto })
  item(@Param('catalogue') catalogue: string, @Param('id') id: string): Promise<ItemDto> {
    return this.service.item(catalogue, id);
  }
}
