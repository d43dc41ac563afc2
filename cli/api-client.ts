import { request } from 'undici';
import { ERROR_CODES, LookalikeError, errorMessage } from '../contracts/errors.ts';
import type { ErrorCode } from '../contracts/errors.ts';

export interface ApiTarget {
  url: string;
  key: string | null;
}

/** Posts JSON to the API. @throws LookalikeError the API's own error code and message, or `unavailable` */
export function postJson(target: ApiTarget, path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
  return callApi(target, 'POST', path, body, signal);
}

/** Asks the API. @throws LookalikeError as `postJson` */
export function getJson(target: ApiTarget, path: string, signal: AbortSignal): Promise<unknown> {
  return callApi(target, 'GET', path, undefined, signal);
}

async function callApi(
  target: ApiTarget,
  method: 'GET' | 'POST',
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  let status: number;
  let text: string;
  try {
    const response = await request(`${target.url.replace(/\/$/, '')}${path}`, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(target.key && { authorization: `Bearer ${target.key}` }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal,
    });
    status = response.statusCode;
    text = await response.body.text();
  } catch (error) {
    if (signal.aborted) throw new LookalikeError('cancelled', 'The request was cancelled.');
    throw new LookalikeError(
      'unavailable',
      `Expected the API at ${target.url}, but it does not answer (${errorMessage(error)}). ` +
        'Start it with `lookalike up`, or name another with --url.',
      {},
      { cause: error },
    );
  }
  const parsed = parse(text);
  if (status < 400) return parsed;
  throw problem(status, parsed, text);
}

function problem(status: number, parsed: unknown, text: string): LookalikeError {
  const { code, detail, title } = (parsed ?? {}) as { code?: unknown; detail?: unknown; title?: unknown };
  const known = typeof code === 'string' && code in ERROR_CODES ? (code as ErrorCode) : 'unavailable';
  const words = [detail, title].find((part) => typeof part === 'string') ?? text.slice(0, 200);
  return new LookalikeError(known, String(words), { status });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
