import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { expect } from 'vitest';
import { SearchAnswerDto } from '../../api/search/search.dto.ts';
import type { SearchAnswer } from '../../contracts/serving.ts';

/** The answer of a search that succeeds, as the schema has it. */
export async function searchShop(app: NestFastifyApplication, payload: object): Promise<SearchAnswer> {
  const response = await app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
  expect(response.statusCode, response.body).toBe(200);
  return SearchAnswerDto.schema.parse(response.json());
}

export const idsOf = (answer: SearchAnswer): string[] => answer.hits.map(({ id }) => id);
