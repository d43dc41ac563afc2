import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { cleanupOpenApiDoc } from 'nestjs-zod';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

const PROBLEM_SCHEMA = {
  type: 'object',
  description: 'RFC 9457 problem details.',
  required: ['type', 'title', 'status', 'detail', 'code', 'requestId'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'Expectation and reality in a sentence.' },
    code: { type: 'string' },
    requestId: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['field', 'expected', 'got'],
        properties: { field: { type: 'string' }, expected: { type: 'string' }, got: { type: 'string' } },
      },
    },
  },
};

/** Serves the document at `/openapi.json` and a page to try it at `/docs`, both without any outside host. */
export function serveOpenApi(app: NestFastifyApplication): void {
  SwaggerModule.setup('docs', app, describeApi(app), { jsonDocumentUrl: 'openapi.json', raw: ['json'] });
}

function describeApi(app: NestFastifyApplication): OpenAPIObject {
  const info = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Lookalike')
    .setDescription('Which items look like this one, or like this photo?')
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API key.' }, 'bearer')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'X-API-Key' }, 'apiKey')
    .build();
  const document = cleanupOpenApiDoc(SwaggerModule.createDocument(app, info));
  const schemas = (document.components ??= {}).schemas ?? {};
  document.components.schemas = { ...schemas, Problem: PROBLEM_SCHEMA };
  for (const path of Object.values(document.paths)) {
    for (const operation of [path.get, path.post, path.put, path.delete]) {
      if (operation !== undefined) describeProblems(operation);
    }
  }
  describeUpload(document);
  return document;
}

function describeProblems(operation: Operation): void {
  operation.responses['default'] = {
    description: 'A problem, as application/problem+json.',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
}

/** A form may carry the picture as a file instead of as base64. */
function describeUpload(document: OpenAPIObject): void {
  const search = document.paths['/v1/catalogues/{catalogue}/search']?.post?.requestBody;
  if (search === undefined || '$ref' in search) return;
  const form = search.content['multipart/form-data'];
  if (form?.schema === undefined) return;
  const image = { type: 'string', format: 'binary', description: 'The picture as a file.' };
  const schema =
    '$ref' in form.schema ? document.components?.schemas?.[form.schema.$ref.split('/').at(-1) ?? ''] : form.schema;
  const fields = schema !== undefined && 'properties' in schema ? schema.properties : {};
  form.schema = { type: 'object', properties: { image, ...fields } };
}
