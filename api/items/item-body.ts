import { createParamDecorator } from '@nestjs/common';
import type { ExecutionContext } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LookalikeError } from '../../contracts/errors.ts';
import type { RequestKey } from '../../contracts/changes.ts';
import { canonicalJson } from '../../infra/artifacts/canonical-json.ts';
import { sha256Hex } from '../../infra/artifacts/sha256.ts';
import { readField, splitUpload } from '../http/form-body.ts';
import { validate } from '../validation.ts';
import { ItemFields } from './items.dto.ts';
import type { PutItemDto } from './items.dto.ts';
import { parseLines, readLine } from './write-lines.ts';
import type { WriteLine } from './write-lines.ts';

export const NDJSON = 'application/x-ndjson';

/** Makes an NDJSON body its bytes: lines are read one by one, so that a bad one does not spoil the rest. */
export function acceptLines(server: FastifyInstance): void {
  server.addContentTypeParser(NDJSON, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/** Injects the item that a JSON body or a form describes; a form may carry the picture as a file `image` and attributes as JSON text. */
export const ItemBody = createParamDecorator(
  (_: unknown, context: ExecutionContext): PutItemDto & { image?: Buffer } => {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    if (!request.isMultipart()) return validate(ItemFields, request.body);
    const { image, fields } = splitUpload(request.body);
    const { attributes } = fields;
    const item = attributes === undefined ? fields : { ...fields, attributes: readField(attributes) };
    return { ...validate(ItemFields, item), image };
  },
);

/** Injects the operations of an NDJSON body, or the one of a JSON body. */
export const WriteLines = createParamDecorator((_: unknown, context: ExecutionContext): WriteLine[] => {
  const { body } = context.switchToHttp().getRequest<FastifyRequest>();
  if (Buffer.isBuffer(body)) return parseLines(body);
  return [readLine(body, 1)];
});

const KEY = /^[\x21-\x7e]{1,255}$/;

/** Injects the request's `Idempotency-Key` with a digest of all that it asks for; undefined without one. */
export const Idempotency = createParamDecorator((_: unknown, context: ExecutionContext): RequestKey | undefined => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !KEY.test(key)) {
    throw new LookalikeError(
      'invalidInput',
      `Expected Idempotency-Key to be 1 to 255 printable ASCII characters without spaces, got ${JSON.stringify(key)}.`,
    );
  }
  return { key, request: sha256Hex(`${request.method} ${request.url.split('?')[0]}\n${textOf(request.body)}`) };
});

function textOf(body: unknown): string {
  if (body === undefined || body === null) return '';
  if (Buffer.isBuffer(body)) return sha256Hex(body);
  const fields = Object.entries(body).map(([name, value]: [string, unknown]) => [
    name,
    Buffer.isBuffer(value) ? sha256Hex(value) : value,
  ]);
  return canonicalJson(Object.fromEntries(fields));
}
