import { LookalikeError } from '../../contracts/errors.ts';
import type { RetrievalQuality } from '../../contracts/training.ts';
import type { Config } from '../config/env.ts';
import type { Embedder } from '../inference/embedder.ts';
import { readLabelledPictures } from './labelled-pictures.ts';
import type { PictureProblem } from './labelled-pictures.ts';
import { measureRetrieval } from './measure-retrieval.ts';
import { resolveModel } from './resolve-model.ts';
import type { ModelChoice } from './resolve-model.ts';

/** Pictures per request to the embedder: enough to keep all its threads busy, few enough to hold in memory. */
const BATCH = 64;

export interface EvaluateFilesOptions extends ModelChoice {
  config: Config;
  embedder: Pick<Embedder, 'embed' | 'modelSummary'>;
  /** Files that `catalogue import` reads, or folders of folders. */
  queries: string;
  catalogueFile: string;
  /** What a hit shares with its query: `label` (the row's own, else its category), `category`, `id`, `title`, `attributes.NAME`. */
  match: string;
  ks: readonly number[];
  signal?: AbortSignal;
  onProgress?: (progress: { what: 'queries' | 'catalogue'; done: number; rejected: number }) => void;
  /** Rows that cannot take part: they are left out and counted. */
  onProblem?: (problem: PictureProblem) => void;
}

export type EvaluatedFiles = RetrievalQuality & { model: string; numRejected: number };

/**
 * Embeds both lists with one model and searches exactly; touches no catalogue.
 * @throws LookalikeError `invalidInput` | `notFound` | `cancelled`
 */
export async function evaluateFiles(options: EvaluateFilesOptions): Promise<EvaluatedFiles> {
  const model = await resolveModel(options);
  const { dim } = await options.embedder.modelSummary(model);
  const queries = await embedFile('queries', options.queries, model, dim, options);
  const catalogue = await embedFile('catalogue', options.catalogueFile, model, dim, options);
  for (const [what, { labels }] of Object.entries({ queries, catalogue })) {
    if (labels.length > 0) continue;
    throw new LookalikeError('invalidInput', `Expected ${what} with usable pictures and a ${options.match}, got none.`);
  }
  const { quality } = await measureRetrieval(
    {
      dim,
      queries: queries.vectors,
      queryLabels: queries.labels,
      catalogue: catalogue.vectors,
      catalogueLabels: catalogue.labels,
      ks: options.ks,
    },
    options.signal,
  );
  return { model, ...quality, numRejected: queries.rejected + catalogue.rejected };
}

async function embedFile(
  what: 'queries' | 'catalogue',
  source: string,
  model: string,
  dim: number,
  { config, embedder, match, signal, onProgress, onProblem }: EvaluateFilesOptions,
): Promise<{ vectors: Float32Array; labels: string[]; rejected: number }> {
  const vectors: Float32Array[] = [];
  const labels: string[] = [];
  let rejected = 0;
  const reject = (problem: PictureProblem): void => {
    rejected += 1;
    onProblem?.(problem);
  };
  const pictures = readLabelledPictures(source, { match, imageHosts: config.imageHosts, signal, onProblem: reject });
  for await (const batch of batches(pictures, BATCH)) {
    const results = await embedder.embed(
      model,
      batch.map(({ bytes }) => bytes),
      { priority: 'batch', signal },
    );
    results.forEach((result, i) => {
      const { row, id, label } = batch[i]!;
      if ('rejected' in result) return reject({ source, row, id, reason: result.rejected });
      vectors.push(result.vectors[0]!);
      labels.push(label);
    });
    onProgress?.({ what, done: labels.length, rejected });
  }
  const all = new Float32Array(vectors.length * dim);
  vectors.forEach((vector, i) => all.set(vector, i * dim));
  return { vectors: all, labels, rejected };
}

async function* batches<T>(values: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const value of values) {
    batch.push(value);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
