import { z } from 'zod';
import type { CropBox, PixelBox } from '../../contracts/crop.ts';
import { isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { RoutingStore } from '../../contracts/registry.ts';
import type { DataPlaneHost, EmbedTimings } from '../../contracts/serving.ts';
import { writeCrop } from './crop-query.ts';
import { createHostClient } from './host-client.ts';
import { decodeVector } from './vector-base64.ts';

export interface EmbedClient {
  /**
   * The vector of one picture, or of a part of it, by any embed host.
   * @throws LookalikeError `imageRejected`; `invalidInput` when the crop leaves the picture; `unavailable` when no host answers; `overloaded` when all are busy; `timeout`
   */
  embed(
    model: string,
    image: Uint8Array,
    options?: { crop?: CropBox; signal?: AbortSignal; timeoutMs?: number },
  ): Promise<{ vector: Float32Array; timingsMs: EmbedTimings; crop?: PixelBox }>;
  close(): Promise<void>;
}

/** How long a list of hosts is good enough. */
const HOSTS_MS = 500;
const DEFAULT_TIMEOUT_MS = 10_000;

/** It embedded the whole picture. */
class OldHost extends LookalikeError {
  constructor(url: string) {
    super('unavailable', `Expected ${url} to know crops, but it is of an older version. Start it anew.`);
  }
}

const Response = z.object({
  model: z.string(),
  dim: z.number(),
  vector: z.string(),
  timingsMs: z.object({ queue: z.number(), decode: z.number(), preprocess: z.number().optional(), infer: z.number() }),
  crop: z.object({ left: z.number(), top: z.number(), width: z.number(), height: z.number() }).optional(),
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
    async embed(model, image, { crop, signal, timeoutMs = DEFAULT_TIMEOUT_MS } = {}) {
      const deadline = performance.now() + timeoutMs;
      let failure = new LookalikeError(
        'unavailable',
        'Expected a running embed worker, but none has announced itself. Start one with `lookalike up`.',
      );
      for (const { url } of client.rank(await currentHosts())) {
        const left = deadline - performance.now();
        if (left <= 0) break;
        try {
          const path = `/embed?model=${encodeURIComponent(model)}${crop === undefined ? '' : `&crop=${writeCrop(crop)}`}`;
          const answer = Response.parse(await client.post(url, path, image, { timeoutMs: left, signal }));
          if (crop !== undefined && answer.crop === undefined) throw new OldHost(url);
          const { timingsMs, crop: box } = answer;
          return { vector: decodeVector(answer.vector), timingsMs, ...(box && { crop: box }) };
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
