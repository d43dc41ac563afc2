import dns from 'node:dns/promises';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import { checkAddress, checkUrl } from './check-url.ts';
import type { UrlRules } from './check-url.ts';
import { isPublicAddress } from './public-address.ts';

const MAX_REDIRECTS = 3;

type Resolve = (host: string) => Promise<LookupAddress[]>;

export interface FetchImageOptions {
  /** Host names, `*.example.com` or `*`; none means no fetching at all. */
  allowedHosts: readonly string[];
  maxBytes: number;
  /** For the whole: name lookup, redirects and body. */
  timeoutMs: number;
  signal?: AbortSignal;
  /** For tests with local servers only. @default public addresses */
  allowAddress?: (address: string) => boolean;
  /** For tests only. @default the system's resolver */
  resolve?: Resolve;
}

/**
 * The bytes behind a URL that a stranger named. Every hop's host must be allowed and resolve to public addresses only, and
 * the connection goes to the very address that was checked. Sends no credentials; takes no more bytes or time than allowed.
 *
 * @throws LookalikeError `forbiddenUrl` | `invalidInput` | `imageRejected` (too large) | `timeout` | `unavailable` | `cancelled`
 */
export async function fetchImage(text: string, options: FetchImageOptions): Promise<Buffer> {
  const rules = { allowedHosts: options.allowedHosts, allowAddress: options.allowAddress ?? isPublicAddress };
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal ? AbortSignal.any([deadline, options.signal]) : deadline;
  const lookup = checkedLookup(rules, until(signal, options.resolve ?? resolveAll));
  const agent = new Agent({ connect: { lookup, timeout: options.timeoutMs }, pipelining: 0 });
  try {
    const response = await follow(text, rules, agent, signal);
    return await readBody(response, options.maxBytes);
  } catch (error) {
    throw failure(error, text, options, deadline);
  } finally {
    // Not awaited: a connection attempt that hangs would hold up the answer past the deadline.
    void agent.destroy().catch(() => undefined);
  }
}

async function follow(
  text: string,
  rules: UrlRules,
  dispatcher: Agent,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  let url = checkUrl(text, undefined, rules);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const headers = { accept: 'image/*', 'accept-encoding': 'identity', 'user-agent': 'lookalike' };
    const response = await request(url, { dispatcher, signal, headers, method: 'GET' });
    // A body that is given up emits an error; without a listener that would end the process.
    response.body.on('error', () => undefined);
    if (response.statusCode === 200) return response;
    const { location } = response.headers;
    const isRedirect = [301, 302, 303, 307, 308].includes(response.statusCode);
    if (!isRedirect || typeof location !== 'string') throw wrongStatus(url, response.statusCode);
    response.body.destroy();
    url = checkUrl(location, url, rules);
  }
  throw new LookalikeError('forbiddenUrl', `Expected at most ${MAX_REDIRECTS} redirects from ${text}, got more.`);
}

function wrongStatus(url: URL, status: number): LookalikeError {
  const mayPass = status >= 500 || status === 429;
  return new LookalikeError(
    mayPass ? 'unavailable' : 'invalidInput',
    `Expected ${url.origin}${url.pathname} to answer 200, got ${status}.`,
  );
}

async function readBody({ body, headers }: Dispatcher.ResponseData, maxBytes: number): Promise<Buffer> {
  const tooLarge = (size: string): LookalikeError =>
    new LookalikeError('imageRejected', `Expected an image of at most ${maxBytes} bytes, got ${size}.`);
  const announced = Number(headers['content-length'] ?? 0);
  if (announced > maxBytes) throw tooLarge(`${announced}`);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge('more');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The system's resolver cannot be interrupted; this stops waiting for it. */
function until(signal: AbortSignal, resolve: Resolve): Resolve {
  return (host) =>
    new Promise((done, fail) => {
      signal.addEventListener('abort', () => fail(signal.reason as Error), { once: true });
      resolve(host).then(done, fail);
    });
}

function resolveAll(host: string): Promise<LookupAddress[]> {
  return dns.lookup(host, { all: true });
}

/** Resolves once and hands over only checked addresses: a second, different DNS answer has no chance to be used. */
function checkedLookup(rules: UrlRules, resolve: Resolve): LookupFunction {
  return (host, options, callback) => {
    resolve(host).then(
      (addresses) => {
        try {
          for (const { address } of addresses) checkAddress(address, rules);
        } catch (error) {
          callback(error as Error, '');
          return;
        }
        const [first] = addresses;
        if (first === undefined) callback(new Error(`${host} has no address`), '');
        else if (options.all) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error as Error, ''),
    );
  };
}

function failure(error: unknown, text: string, options: FetchImageOptions, deadline: AbortSignal): LookalikeError {
  if (error instanceof LookalikeError) return error;
  if (options.signal?.aborted) return new LookalikeError('cancelled', 'The fetch was cancelled.', {}, { cause: error });
  const where = URL.parse(text)?.host ?? 'the host';
  if (deadline.aborted) {
    return new LookalikeError('timeout', `Expected the image from ${where} within ${options.timeoutMs} ms, got none.`);
  }
  const message = `Expected ${where} to send the image, got "${errorMessage(error)}". Try again later.`;
  return new LookalikeError('unavailable', message, {}, { cause: error });
}
