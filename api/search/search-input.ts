import { createParamDecorator } from '@nestjs/common';
import type { ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { SearchEffort } from '../../contracts/ann.ts';
import type { CropBox } from '../../contracts/crop.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { AttributeFilter } from '../../contracts/filters.ts';
import { EFFORT_NAMES } from '../../infra/shards/search-effort.ts';
import { readField, splitUpload } from '../http/form-body.ts';
import { ValidationError, validate } from '../validation.ts';
import { decodeBase64 } from './base64.ts';
import { checkRerank } from './rerank-page.ts';
import { SearchFields, SearchParams } from './search.dto.ts';

/** What to look for. */
export type SearchQuery =
  | { kind: 'image'; bytes: Buffer; crop?: CropBox }
  | { kind: 'imageUrl'; url: string; crop?: CropBox }
  | { kind: 'item'; id: string }
  /** Nothing but `moreLike`. */
  | { kind: 'examples' }
  /** `model` made it, as far as the caller says. */
  | { kind: 'vector'; vector: Float32Array; model?: string };

/** Items that meet all of it rank higher by `weight`, or lower by a negative one. */
export interface Boost {
  category?: string;
  filter?: AttributeFilter;
  weight: number;
}

/** A search as the service understands it. */
export interface SearchInput extends SearchEffort {
  query: SearchQuery;
  /** Ids of items. */
  moreLike?: string[];
  lessLike?: string[];
  k: number;
  category?: string;
  filter?: AttributeFilter;
  minScore?: number;
  /** That query and hit show the same product. */
  minProbability?: number;
  exactScores?: boolean;
  /** 0..1: how much unlikeness to the hits before counts against likeness to the query. */
  diversity?: number;
  /** Cosine from which on two hits count as one. */
  nearDuplicateScore?: number;
  boosts?: Boost[];
  /** Candidates that are re-ranked. */
  rerankDepth?: number;
  /** `category`, `label` or an attribute: the answer holds the best of each group. */
  groupBy?: string;
  /** Items told of each group. Default 1. */
  groupSize?: number;
  /** `category` or attributes. */
  facets?: string[];
  facetSize?: number;
  /** Of the answer that this one continues. */
  cursor?: string;
  exact: boolean;
  /** Tell how the answer came to be. */
  explain?: boolean;
  allowPartial: boolean;
  /** The caller waits no longer. */
  timeoutMs?: number;
}

/** Injects the search that a JSON body or a form describes. */
export const SearchBody = createParamDecorator((_: unknown, context: ExecutionContext): SearchInput => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  const { explain } = validate(SearchParams, request.query);
  return { ...parseSearch(request.body, request.isMultipart()), explain };
});

const KINDS = ['image', 'imageBase64', 'imageUrl', 'itemId', 'vector'] as const;

/**
 * @param isForm fields are then text and `image` may be an uploaded file
 * @throws ValidationError | LookalikeError `nonFinite` | `imageRejected`
 */
export function parseSearch(body: unknown, isForm: boolean): SearchInput {
  const { image, fields } = isForm ? readForm(body) : { image: undefined, fields: body };
  const { imageBase64, imageUrl, itemId, vector, model, crop, ...options } = validate(SearchFields, fields);
  const queries: SearchQuery[] = [];
  if (image !== undefined) queries.push({ kind: 'image', bytes: image, crop });
  if (imageBase64 !== undefined) queries.push({ kind: 'image', bytes: decodeBase64('imageBase64', imageBase64), crop });
  if (imageUrl !== undefined) queries.push({ kind: 'imageUrl', url: imageUrl, crop });
  if (itemId !== undefined) queries.push({ kind: 'item', id: itemId });
  if (vector !== undefined) queries.push({ kind: 'vector', vector: toFloat32(vector), model });
  if (queries.length === 0 && (options.moreLike ?? []).length > 0) queries.push({ kind: 'examples' });
  const [query, ...others] = queries;
  if (query === undefined || others.length > 0) {
    const given = KINDS.filter(
      (kind) => (kind === 'image' ? image : (fields as Record<string, unknown>)[kind]) !== undefined,
    );
    const expected = `exactly one kind of query: ${KINDS.slice(isForm ? 0 : 1).join(', ')}; or moreLike`;
    throw new ValidationError([{ field: '(body)', expected, got: given.join(' and ') || 'none' }]);
  }
  if (model !== undefined && query.kind !== 'vector') {
    throw new ValidationError([{ field: 'model', expected: 'left out (it goes with `vector`)', got: model }]);
  }
  if (crop !== undefined && query.kind !== 'image' && query.kind !== 'imageUrl') {
    throw new ValidationError([{ field: 'crop', expected: 'left out (it goes with a picture)', got: 'a box' }]);
  }
  checkRerank(options);
  return { query, ...options };
}

/** Form fields are text: numbers, booleans and vectors are read as what they say, anything else is left to validation. */
function readForm(body: unknown): { image: Buffer | undefined; fields: Record<string, unknown> } {
  const { image, fields } = splitUpload(body);
  for (const name of [
    'moreLike',
    'lessLike',
    'k',
    'filter',
    'crop',
    'minScore',
    'minProbability',
    'exactScores',
    'diversity',
    'nearDuplicateScore',
    'boosts',
    'rerankDepth',
    'exact',
    'allowPartial',
    'timeoutMs',
    'vector',
    'groupSize',
    'facets',
    'facetSize',
    ...EFFORT_NAMES,
  ]) {
    if (name in fields) fields[name] = readField(fields[name]);
  }
  return { image, fields };
}

/** Finite doubles may still be too large for the 32 bits that vectors are kept in. */
function toFloat32(values: number[]): Float32Array {
  const vector = Float32Array.from(values);
  const bad = vector.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new LookalikeError(
      'nonFinite',
      `Expected \`vector\` to hold finite 32-bit numbers, got ${values[bad]} at position ${bad}.`,
    );
  }
  if (vector.every((value) => value === 0)) {
    throw new LookalikeError(
      'invalidInput',
      'Expected `vector` to have a direction, got only zeros: no item is nearer to it than another.',
    );
  }
  return vector;
}
