import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { ApiLimits } from '../settings.ts';
import { ValidationError } from '../validation.ts';

const MAX_PARTS = 64;
const MAX_FIELD_BYTES = 1024 * 1024;

/** Makes a form's body an object: files as Buffers, fields as text, a name that occurs twice as an array. */
export async function acceptForms(server: FastifyInstance, limits: ApiLimits): Promise<void> {
  await server.register(multipart, {
    limits: { fileSize: limits.imageBytes, files: 1, parts: MAX_PARTS, fieldSize: MAX_FIELD_BYTES },
  });
  server.addHook('preValidation', async (request) => {
    if (request.isMultipart()) request.body = await readForm(request);
  });
}

async function readForm(request: FastifyRequest): Promise<Record<string, unknown>> {
  const values = new Map<string, unknown[]>();
  try {
    for await (const part of request.parts()) {
      const value = part.type === 'file' ? await part.toBuffer() : part.value;
      values.set(part.fieldname, [...(values.get(part.fieldname) ?? []), value]);
    }
  } catch (error) {
    // Limits are the plugin's own errors and carry a status; the parser's are plain and always the sender's fault.
    if (error instanceof Error && 'statusCode' in error) throw error;
    const message = `Expected a well-formed multipart/form-data body, got one that breaks off or misses parts (${errorMessage(error)}).`;
    throw new LookalikeError('invalidInput', message);
  }
  return Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? all[0] : all]));
}

/** A form's picture, if there is one, and its other fields. @throws ValidationError where `image` is anything but one file */
export function splitUpload(body: unknown): { image: Buffer | undefined; fields: Record<string, unknown> } {
  const { image, ...fields } = (body ?? {}) as Record<string, unknown>;
  if (image === undefined || Buffer.isBuffer(image)) return { image, fields };
  const got = Array.isArray(image) ? `${image.length} values` : 'text';
  throw new ValidationError([{ field: 'image', expected: 'one uploaded file', got }]);
}

/** What the text of a field says, where it is JSON; anything else is left to validation. */
export function readField(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
