import type { CropBox, PixelBox } from '../../contracts/crop.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { EmbedResponse, EmbedTimings } from '../../contracts/serving.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import { readCrop } from './crop-query.ts';
import { startHttpHost } from './http-host.ts';
import type { HttpHost } from './http-host.ts';
import { encodeVector } from './vector-base64.ts';

/** What an embed host needs of inference. */
export interface OnlineEmbedder {
  embed(
    model: string,
    images: Uint8Array[],
    options: { priority: 'online'; crop?: CropBox; signal?: AbortSignal },
  ): Promise<({ vectors: Float32Array[]; timingsMs: EmbedTimings; crop?: PixelBox } | { rejected: string })[]>;
}

export interface EmbedHostOptions {
  config: Pick<Config, 'dataPlane'>;
  embedder: OnlineEmbedder;
  logger?: Logger;
  /** Largest picture in bytes. Default 20 MB. */
  maxImageBytes?: number;
  /** Pictures waiting or in work, beyond which further ones are refused. Default 64. */
  maxInFlight?: number;
}

/** `POST /embed?model=ID` with a picture's bytes; see contracts/serving.ts. */
export async function startEmbedHost(options: EmbedHostOptions): Promise<HttpHost> {
  const { config, embedder, logger, maxImageBytes = 20_000_000, maxInFlight = 64 } = options;
  let inFlight = 0;

  async function embed(
    model: string,
    image: Uint8Array,
    crop: CropBox | undefined,
    signal: AbortSignal,
  ): Promise<EmbedResponse> {
    const [result] = await embedder.embed(model, [image], { priority: 'online', crop, signal });
    if (result === undefined) throw new Error('Expected one result for one picture, got none.');
    if ('rejected' in result) throw new LookalikeError('imageRejected', result.rejected);
    const [vector] = result.vectors;
    if (vector === undefined) throw new Error('Expected one vector for one view, got none.');
    const { timingsMs, crop: box } = result;
    return { model, dim: vector.length, vector: encodeVector(vector), timingsMs, ...(box && { crop: box }) };
  }

  return startHttpHost({
    address: config.dataPlane.host,
    token: config.dataPlane.token,
    onError: (error) => logger?.error({ err: error }, 'A picture could not be embedded.'),
    async route({ method, path, query, body, signal }) {
      if (method === 'GET' && path === '/health') return { inFlight };
      const model = query.get('model');
      if (method !== 'POST' || path !== '/embed' || model === null) {
        throw new LookalikeError('notFound', `Expected POST /embed?model=ID or GET /health, got ${method} ${path}.`);
      }
      if (inFlight >= maxInFlight) {
        throw new LookalikeError(
          'overloaded',
          `Expected at most ${maxInFlight} pictures at once. Try again in a moment.`,
        );
      }
      inFlight++;
      try {
        return await embed(model, await body(maxImageBytes), readCrop(query.get('crop')), signal);
      } finally {
        inFlight--;
      }
    },
  });
}
