import type { FastifyInstance } from 'fastify';

const SHUT = "default-src 'none'; frame-ancestors 'none'";
/** WebAssembly may be compiled, for photos that are embedded in the browser; text may not be evaluated. */
const PAGE = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
/** Swagger's page styles itself inline and draws icons from data URLs; its scripts are files of this server. */
const DOCS = `default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** Headers that keep browsers from guessing types, framing pages, or loading anything from elsewhere. */
export function secureHeaders(server: FastifyInstance): void {
  server.addHook('onRequest', (request, reply, done) => {
    const path = request.url.split('?')[0] ?? '';
    const isPage = path === '/' || path.startsWith('/page/');
    const policy = isPage ? PAGE : /^\/docs(\/|$)/.test(path) ? DOCS : SHUT;
    reply.headers({
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'x-frame-options': 'DENY',
    });
    // Alone in its process, the page may use threads. Nothing on it comes from elsewhere.
    if (isPage) {
      void reply.headers({
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      });
    }
    done();
  });
}
