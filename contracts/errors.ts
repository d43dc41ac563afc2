import type { JsonObject } from './json.ts';

/**
 * The closed set of things that go wrong in the domain. Each says whose fault it is and whether trying again can help.
 * Two mappers translate it, both exhaustive: activities/failure.ts to Temporal, api/problem.ts to HTTP.
 */
export const ERROR_CODES = {
  /** The caller sent something malformed. Fix the request; never retried. */
  invalidInput: { retryable: false },
  /** The caller's picture cannot be used (format, size, damage). Never retried. */
  imageRejected: { retryable: false },
  /** A vector has the wrong length for the model or index. Never retried. */
  dimensionMismatch: { retryable: false },
  /** A vector, loss or gradient holds NaN or infinity. Never retried: the same input gives the same result. */
  nonFinite: { retryable: false },
  /** The named thing does not exist. Never retried. */
  notFound: { retryable: false },
  /** The world changed in between (a generation was superseded, an id is taken). Never retried as it is. */
  conflict: { retryable: false },
  /** A candidate was refused by the evaluation gate or a recall check. Never retried. */
  gateRejected: { retryable: false },
  /** Stored bytes do not match their checksum. An operator's disk or store is at fault; never retried. */
  corruptArtifact: { retryable: false },
  /** No key, or a wrong one. */
  unauthorized: { retryable: false },
  /** The key lacks the scope. */
  forbidden: { retryable: false },
  /** A URL leads where the server may not go (private networks, other schemes). Never retried. */
  forbiddenUrl: { retryable: false },
  /** Something this machine lacks (a binding, a binary, weights). The message names the command that provides it. */
  missingDependency: { retryable: false },
  /** A part of the system does not answer now. Retried. */
  unavailable: { retryable: true },
  /** Too much work at once: retried after a pause. */
  overloaded: { retryable: true },
  /** The deadline passed. Retried where an activity's policy says so. */
  timeout: { retryable: true },
  /** Somebody asked to stop. Never swallowed, never retried. */
  cancelled: { retryable: false },
} as const satisfies Record<string, { retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** One domain error. `message` states expectation and reality ("Expected `dim` to be 64, got 128."). */
export class LookalikeError extends Error {
  readonly code: ErrorCode;
  readonly details: JsonObject;

  constructor(code: ErrorCode, message: string, details: JsonObject = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LookalikeError';
    this.code = code;
    this.details = details;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }
}

export function isLookalikeError(error: unknown): error is LookalikeError {
  return error instanceof LookalikeError;
}

/** Any thrown value as one line of text. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Makes a switch exhaustive at compile time. */
export function assertNever(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
}
