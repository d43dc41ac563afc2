import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import type { ArtifactId, ArtifactStore } from '../../contracts/artifacts.ts';
import type { CropBox, PixelBox } from '../../contracts/crop.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { ModelSummary } from '../../contracts/model.ts';
import type { EmbedTimings } from '../../contracts/serving.ts';
import { viewSeeds } from '../../lib/embed/view-seeds.ts';
import { resolveExecutionProvider } from '../compute/execution-provider.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import { modelSummaryOf } from '../models/model-summary.ts';
import type { ModelFiles, ThreadAnswer } from './protocol.ts';
import type { Priority } from './thread-pool.ts';
import { ThreadPool } from './thread-pool.ts';

export interface EmbedOptions {
  priority: Priority;
  /** Vectors per picture: the plain view, then seeded augmentations. Default 1. */
  views?: number;
  /** Only this part of each picture counts. */
  crop?: CropBox;
  /** Drops what has not been started; the call then throws `cancelled`. */
  signal?: AbortSignal;
}

/** One picture's vectors, one per view, or why it has none. */
export type EmbedResult = { vectors: Float32Array[]; timingsMs: EmbedTimings; crop?: PixelBox } | { rejected: string };

/** Turns pictures into vectors on this machine's cores or GPU. A vector depends on the picture and the model alone. */
export interface Embedder {
  /**
   * In the order given; a bad picture never stops the others, a broken machine does.
   * @throws LookalikeError `notFound` | `cancelled` | `corruptArtifact` | `missingDependency` | `unavailable`;
   * `invalidInput` when the crop leaves a picture
   */
  embed(model: ArtifactId, images: readonly Uint8Array[], options: EmbedOptions): Promise<EmbedResult[]>;
  /**
   * Embeddings from cached backbone features, bit-equal to embedding the pictures. `features` is row-major
   * [numRows, featureDim]; the result [numRows, dim].
   */
  applyHead(model: ArtifactId, features: Float32Array, numRows: number, signal?: AbortSignal): Promise<Float32Array>;
  modelSummary(model: ArtifactId): Promise<ModelSummary>;
  /** Waits for what is in flight, rejects what is queued. */
  close(): Promise<void>;
}

export interface EmbedderOptions {
  config: Pick<Config, 'embedThreads' | 'executionProvider'>;
  stores: { artifacts: Pick<ArtifactStore, 'get' | 'materialise'> };
  logger?: Logger;
}

/** Rows of features per request: enough to make the message worth it, few enough to let online work in between. */
const HEAD_ROWS = 64;

/** Threads start with the first picture. */
export function createEmbedder({ config, stores, logger }: EmbedderOptions): Embedder {
  let pool: Promise<ThreadPool> | undefined;
  const models = new Map<ArtifactId, Promise<{ summary: ModelSummary; files: ModelFiles }>>();

  const startPool = async (): Promise<ThreadPool> => {
    const { provider, reason } = await resolveExecutionProvider(config);
    logger?.info({ provider, reason, threads: config.embedThreads }, 'embedding threads start');
    return new ThreadPool({
      // A thread runs the same kind of file as this one: TypeScript from source, JavaScript when built.
      entry: new URL(`./embed-thread${extname(import.meta.url)}`, import.meta.url),
      numThreads: config.embedThreads,
      workerData: { provider },
      onCrash: (error) => logger?.error({ err: error }, 'an embedding thread ended and is replaced'),
    });
  };
  const threads = (): Promise<ThreadPool> => (pool ??= startPool());
  const load = async (id: ArtifactId): Promise<{ summary: ModelSummary; files: ModelFiles }> => {
    const held = models.get(id);
    if (held !== undefined) {
      const { files } = await held;
      // The store's cache may have dropped files that a thread has yet to open.
      if ([files.backbone, ...(files.head === null ? [] : [files.head])].every(existsSync)) return held;
    }
    // Another caller may be at it already.
    const now = models.get(id);
    if (now !== undefined && now !== held) return now;
    const opening = openModel(stores.artifacts, id);
    models.set(id, opening);
    // A model that could not be opened may be there the next time.
    opening.catch(() => models.delete(id));
    return opening;
  };

  return {
    async embed(id, images, { priority, views = 1, crop, signal }) {
      const [{ files }, running] = await Promise.all([load(id), threads()]);
      return Promise.all(
        images.map(async (image): Promise<EmbedResult> => {
          const seeds = views === 1 ? [null] : viewSeeds(createHash('sha256').update(image).digest('hex'), views);
          const { answer, queueMs } = await running.run(
            { kind: 'embed', model: files, image, seeds, crop },
            priority,
            signal,
          );
          if (answer.kind === 'rejected') return { rejected: answer.reason };
          if (answer.kind !== 'embedded') throw failure(answer);
          const { vectors, decodeMs, preprocessMs, inferMs, crop: box } = answer.answer;
          const timingsMs = { queue: queueMs, decode: decodeMs, preprocess: preprocessMs, infer: inferMs };
          return { vectors, timingsMs, ...(box !== undefined && { crop: box }) };
        }),
      );
    },

    async applyHead(id, features, numRows, signal) {
      const [{ files }, running] = await Promise.all([load(id), threads()]);
      if (features.length !== numRows * files.featureDim) {
        throw new LookalikeError(
          'dimensionMismatch',
          `Expected ${numRows} rows of ${files.featureDim} features, got ${features.length} values.`,
        );
      }
      const result = new Float32Array(numRows * files.dim);
      const starts = Array.from({ length: Math.ceil(numRows / HEAD_ROWS) }, (_, i) => i * HEAD_ROWS);
      await Promise.all(
        starts.map(async (start) => {
          const rows = Math.min(HEAD_ROWS, numRows - start);
          const part = features.slice(start * files.featureDim, (start + rows) * files.featureDim);
          const request = { kind: 'applyHead', model: files, features: part, numRows: rows } as const;
          const { answer } = await running.run(request, 'batch', signal);
          if (answer.kind !== 'headApplied') throw failure(answer);
          result.set(answer.vectors, start * files.dim);
        }),
      );
      return result;
    },

    async modelSummary(id) {
      return (await load(id)).summary;
    },

    async close() {
      await (await pool)?.close();
    },
  };
}

async function openModel(
  artifacts: EmbedderOptions['stores']['artifacts'],
  id: ArtifactId,
): Promise<{ summary: ModelSummary; files: ModelFiles }> {
  const summary = modelSummaryOf(await artifacts.get(id));
  const { preprocessing, featureDim, dim } = summary;
  const backbone = await artifacts.materialise(id, 'backbone.onnx');
  const head = summary.stage === 'embedding' ? await artifacts.materialise(id, 'head.onnx') : null;
  return { summary, files: { backbone, head, preprocessing, featureDim, dim } };
}

function failure(answer: ThreadAnswer): LookalikeError {
  return answer.kind === 'failed'
    ? new LookalikeError(answer.code, answer.message)
    : new LookalikeError('unavailable', `Expected the embedding thread's answer, got "${answer.kind}".`);
}
