import { HttpException } from '@nestjs/common';
import { errorMessage, isLookalikeError } from '../contracts/errors.ts';
import type { ErrorCode } from '../contracts/errors.ts';
import { ValidationError } from './validation.ts';
import type { FieldProblem } from './validation.ts';

/** RFC 9457 problem details, with the domain's error code and the request's id as extension members. */
export interface Problem {
  /** `urn:lookalike:problem:<code>`. */
  type: string;
  title: string;
  status: number;
  /** Expectation and reality in a sentence. */
  detail: string;
  code: string;
  requestId: string;
  /** On validation problems: each field that is wrong. */
  errors?: FieldProblem[];
}

/** The one place where domain errors get an HTTP status; a new code does not compile until it has one. */
const STATUS_OF = {
  invalidInput: [400, 'The request is not valid'],
  dimensionMismatch: [400, 'The vector has the wrong length'],
  nonFinite: [400, 'The vector holds a value that is not a finite number'],
  forbiddenUrl: [400, 'The picture may not be fetched from that URL'],
  unauthorized: [401, 'An API key is needed'],
  forbidden: [403, 'Not allowed'],
  notFound: [404, 'Not found'],
  conflict: [409, 'Conflict with the current state'],
  gateRejected: [409, 'The candidate was refused'],
  imageRejected: [422, 'The picture cannot be used'],
  cancelled: [499, 'The client closed the request'],
  corruptArtifact: [500, 'Internal error'],
  missingDependency: [503, 'A part of the server is not installed'],
  unavailable: [503, 'Temporarily unavailable'],
  overloaded: [503, 'Too much work at once'],
  timeout: [504, 'The answer took too long'],
} as const satisfies Record<ErrorCode, readonly [number, string]>;

/** What the framework itself refuses, by status. */
const FRAMEWORK: Record<number, readonly [code: string, title: string]> = {
  400: ['invalidInput', 'The request is not valid'],
  404: ['notFound', 'Not found'],
  405: ['methodNotAllowed', 'Method not allowed'],
  406: ['invalidInput', 'The request is not valid'],
  408: ['timeout', 'The request took too long'],
  413: ['payloadTooLarge', 'The request is too large'],
  414: ['payloadTooLarge', 'The URL is too long'],
  415: ['unsupportedMediaType', 'The content type is not accepted'],
  429: ['rateLimited', 'Too many requests'],
  431: ['payloadTooLarge', 'The headers are too large'],
  503: ['unavailable', 'Temporarily unavailable'],
};

/** Any thrown value as a problem. Unknown errors become an opaque 500: the log holds the rest, under the request's id. */
export function toProblem(error: unknown, requestId: string): Problem {
  if (isLookalikeError(error)) {
    const [status, title] = STATUS_OF[error.code];
    const detail = status === 500 ? opaque(requestId) : error.message;
    const errors = error instanceof ValidationError ? { errors: error.problems } : {};
    return problem(error.code, status, title, detail, requestId, errors);
  }
  const status = httpStatusOf(error);
  const known = FRAMEWORK[status];
  if (known !== undefined) return problem(known[0], status, known[1], errorMessage(error), requestId);
  if (status < 500) return problem('invalidInput', status, 'The request is not valid', errorMessage(error), requestId);
  return problem('internal', 500, 'Internal error', opaque(requestId), requestId);
}

/** Statuses of the framework's own errors; Fastify's carry `statusCode`, Nest's know their status. */
function httpStatusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return 500;
  const ofFastify = typeof error.code === 'string' && error.code.startsWith('FST_');
  return ofFastify && typeof error.statusCode === 'number' ? error.statusCode : 500;
}

function problem(
  code: string,
  status: number,
  title: string,
  detail: string,
  requestId: string,
  more: Pick<Problem, 'errors'> = {},
): Problem {
  return { type: `urn:lookalike:problem:${code}`, title, status, detail, code, requestId, ...more };
}

function opaque(requestId: string): string {
  return `Something failed on the server. Its log holds the cause under request id ${requestId}.`;
}
