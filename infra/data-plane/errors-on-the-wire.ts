import { z } from 'zod';
import { ERROR_CODES, errorMessage, isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { ErrorCode } from '../../contracts/errors.ts';

/** HTTP status of each error between router and host. Both ends read the `code`; the status is for people and proxies. */
const STATUS = {
  invalidInput: 400,
  dimensionMismatch: 400,
  nonFinite: 400,
  unauthorized: 401,
  forbidden: 403,
  forbiddenUrl: 403,
  notFound: 404,
  conflict: 409,
  imageRejected: 422,
  gateRejected: 422,
  cancelled: 499,
  corruptArtifact: 500,
  missingDependency: 500,
  unavailable: 503,
  overloaded: 503,
  timeout: 504,
} as const satisfies Record<ErrorCode, number>;

/** An error as a host sends it. What is no domain error is a bug: its text stays on the host. */
export function encodeError(error: unknown): { status: number; body: object } {
  if (!isLookalikeError(error)) {
    return { status: 500, body: { code: 'unavailable', message: 'The host failed to answer; its log says why.' } };
  }
  return { status: STATUS[error.code], body: { code: error.code, message: error.message, details: error.details } };
}

const WireError = z.object({
  code: z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  details: z.record(z.string(), z.json()).default({}),
});

/** The error of an answer whose status is no success. */
export function decodeError(status: number, body: string, url: string): LookalikeError {
  try {
    const { code, message, details } = WireError.parse(JSON.parse(body));
    return new LookalikeError(code, message, details);
  } catch (error) {
    const message = `Expected JSON from ${url}, got HTTP ${status} (${errorMessage(error)}).`;
    return new LookalikeError('unavailable', message, {}, { cause: error });
  }
}
