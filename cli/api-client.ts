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

/** Posts lines of JSON, once however often it is called with the key. @throws LookalikeError as `postJson` */
export function postLines(
  target: ApiTarget,
  path: string,
  lines: readonly string[],
  key: string,
  signal: AbortSignal,
): Promise<unknown> {
  return callApi(target, 'POST', path, new NdJson(lines, key), signal);
}

/** Asks the API. @throws LookalikeError as `postJson` */
export function getJson(target: ApiTarget, path: string, signal: AbortSignal): Promise<unknown> {
  return callApi(target, 'GET', path, undefined, signal);
}

/** Asks the API for text, such as its metrics. @throws LookalikeError as `postJson` */
export function getText(target: ApiTarget, path: string, signal: AbortSignal): Promise<string> {
  return callForText(target, 'GET', path, undefined, signal);
}

/** A body that is not JSON but lines of it, and the key of its request. */
class NdJson {
  readonly lines: readonly string[];
  readonly key: string;

  constructor(lines: readonly string[], key: string) {
    this.lines = lines;
    this.key = key;
  }
}

async function callApi(
  target: ApiTarget,
  method: 'GET' | 'POST',
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  return parse(await callForText(target, method, path, body, signal));
}

async function callForText(
  target: ApiTarget,
  method: 'GET' | 'POST',
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<string> {
  let status: number;
  let text: string;
  try {
    const response = await request(`${target.url.replace(/\/$/, '')}${path}`, {
      method,
      headers: {
        ...(body !== undefined && headersOf(body)),
        ...(target.key && { authorization: `Bearer ${target.key}` }),
      },
      body: body === undefined ? null : body instanceof NdJson ? body.lines.join('\n') : JSON.stringify(body),
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
  if (status < 400) return text;
  throw problem(status, parse(text), text);
}

function headersOf(body: unknown): Record<string, string> {
  if (!(body instanceof NdJson)) return { 'content-type': 'application/json' };
  return { 'content-type': 'application/x-ndjson', 'idempotency-key': body.key };
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
