import { z } from 'zod';
import { isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { RoutingStore } from '../../contracts/registry.ts';
import type { DataPlaneHost, EmbedResponse } from '../../contracts/serving.ts';
import { createHostClient } from './host-client.ts';
import { decodeVector } from './vector-base64.ts';

export interface EmbedClient {
  /**
   * The vector of one picture, by any embed host.
   * @throws LookalikeError `imageRejected`; `unavailable` when no host answers; `overloaded` when all are busy; `timeout`
   */
  embed(
    model: string,
    image: Uint8Array,
    options?: { signal?: AbortSignal; timeoutMs?: number },
  ): Promise<{ vector: Float32Array; timingsMs: EmbedResponse['timingsMs'] }>;
  close(): Promise<void>;
}

/** How long a list of hosts is good enough. */
const HOSTS_MS = 500;
const DEFAULT_TIMEOUT_MS = 10_000;

const Response = z.object({
  model: z.string(),
  dim: z.number(),
  vector: z.string(),
  timingsMs: z.object({ queue: z.number(), decode: z.number(), infer: z.number() }),
});

export function createEmbedClient({
  routing,
  token,
}: {
  routing: Pick<RoutingStore, 'hosts'>;
  token: string;
}): EmbedClient {
  const client = createHostClient(token);
  let hosts: DataPlaneHost[] = [];
  let readAt = -Infinity;

  async function currentHosts(): Promise<DataPlaneHost[]> {
    if (performance.now() - readAt < HOSTS_MS && hosts.length > 0) return hosts;
    try {
      hosts = await routing.hosts('embed');
      readAt = performance.now();
    } catch (error) {
      // The last known hosts go on answering while the registry does not.
      if (hosts.length === 0) {
        throw new LookalikeError(
          'unavailable',
          'Expected the registry to name embed hosts, but it does not answer.',
          {},
          { cause: error },
        );
      }
    }
    return hosts;
  }

  return {
    async embed(model, image, { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = {}) {
      const deadline = performance.now() + timeoutMs;
      let failure = new LookalikeError(
        'unavailable',
        'Expected a running embed worker, but none has announced itself. Start one with `lookalike up`.',
      );
      for (const { url } of client.rank(await currentHosts())) {
        const left = deadline - performance.now();
        if (left <= 0) break;
        try {
          const path = `/embed?model=${encodeURIComponent(model)}`;
          const answer = Response.parse(await client.post(url, path, image, { timeoutMs: left, signal }));
          return { vector: decodeVector(answer.vector), timingsMs: answer.timingsMs };
        } catch (error) {
          if (!isLookalikeError(error) || !error.retryable) throw error;
          failure = error;
          // Forget the list: the host may be gone from the registry by now.
          readAt = -Infinity;
        }
      }
      throw failure;
    },
    close: () => client.close(),
  };
}
