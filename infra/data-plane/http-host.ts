import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LookalikeError } from '../../contracts/errors.ts';
import { DATA_PLANE_TOKEN_HEADER } from '../../contracts/serving.ts';
import { encodeError } from './errors-on-the-wire.ts';

/** One authenticated request. */
export interface HostRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  /** @throws LookalikeError `invalidInput` beyond `maxBytes` */
  body: (maxBytes: number) => Promise<Buffer>;
  /** Aborts when the client has gone: its answer is worth nothing. */
  signal: AbortSignal;
}

export interface HttpHostOptions {
  /** Address to bind; the port is the system's choice. */
  address: string;
  token: string;
  /** Answers with what becomes JSON. */
  route: (request: HostRequest) => Promise<object>;
  /** Told of errors that are bugs. */
  onError: (error: unknown) => void;
}

export interface HttpHost {
  /** `http://address:port` */
  url: string;
  /** Refuses new connections, lets requests finish, then cuts what is left. */
  close(): Promise<void>;
}

/** Idle connections outlive the pause between a router's queries, so that most need no handshake. */
const KEEP_ALIVE_MS = 60_000;
const DRAIN_MS = 5_000;

export async function startHttpHost({ address, token, route, onError }: HttpHostOptions): Promise<HttpHost> {
  const isToken = tokenCheck(token);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      if (!isToken(request.headers[DATA_PLANE_TOKEN_HEADER])) {
        throw new LookalikeError('unauthorized', `Expected the installation's token in ${DATA_PLANE_TOKEN_HEADER}.`);
      }
      const url = new URL(request.url ?? '/', 'http://host');
      const body = (maxBytes: number): Promise<Buffer> => readBody(request, maxBytes);
      const { method = 'GET' } = request;
      send(
        response,
        200,
        await route({ method, path: url.pathname, query: url.searchParams, body, signal: gone.signal }),
      );
    } catch (error) {
      if (gone.signal.aborted) return;
      const { status, body } = encodeError(error);
      if (status === 500) onError(error);
      // The rest of an unread body would be taken for the next request.
      if (!request.complete) response.setHeader('connection', 'close');
      send(response, status, body);
    }
  }

  const server = createServer((request, response) => void answer(request, response));
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port: 0 }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      await closed;
      clearTimeout(cut);
    },
  };
}

/** Compares digests, whose length says nothing, in constant time. */
function tokenCheck(token: string): (given: string | string[] | undefined) => boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(token);
  return (given) => typeof given === 'string' && timingSafeEqual(digest(given), expected);
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new LookalikeError('invalidInput', `Expected a body of at most ${maxBytes} bytes, got more.`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function send(response: ServerResponse, status: number, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
}
