import type { Artifact, ArtifactStore, BlobStore } from '../../contracts/artifacts.ts';
import type { VariantQuality } from '../../contracts/model.ts';
import { decideStandIn } from '../../lib/eval/stand-in.ts';
import { evaluateRetrieval } from '../../lib/eval/retrieval.ts';
import type { VariantFiles } from '../../lib/export/variant-files.ts';
import type { LabelledPicture } from '../../lib/train/split.ts';
import type { Config } from '../config/env.ts';
import { createEmbedder } from '../inference/embedder.ts';
import { agreementOf } from '../models/agreement.ts';
import type { Agreement } from '../models/agreement.ts';
import { modelSummaryOf } from '../models/model-summary.ts';
import { CANDIDATE, createCandidate } from './candidate.ts';
import type { SnapshotSample } from './sample-snapshot.ts';

export interface JudgeOptions {
  stores: { artifacts: Pick<ArtifactStore, 'get' | 'materialise'>; blobs: Pick<BlobStore, 'get'> };
  config: Pick<Config, 'embedThreads' | 'executionProvider'>;
  model: Artifact;
  files: VariantFiles;
  sample: SnapshotSample;
  maxRecallDrop: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** Pictures in memory at once. */
const BATCH = 64;
/**
 * Embeds the sample with the model and with its variant, and compares: vector by vector, and by what queries find.
 * @throws LookalikeError `cancelled` | `notFound` a picture is gone
 */
export async function judgeVariant(options: JudgeOptions): Promise<{ quality: VariantQuality; agreement: Agreement }> {
  const { config, model, files, sample, maxRecallDrop } = options;
  await using candidate = await createCandidate(options.stores.artifacts, model, files);
  const embedder = createEmbedder({ config, stores: { artifacts: candidate.artifacts } });
  try {
    const total = 2 * (sample.queries.length + sample.catalogue.length);
    let done = 0;
    const embed = async (id: string, pictures: LabelledPicture[]): Promise<(Float32Array | undefined)[]> => {
      const vectors: (Float32Array | undefined)[] = [];
      for (let from = 0; from < pictures.length; from += BATCH) {
        const batch = pictures.slice(from, from + BATCH);
        const bytes = await Promise.all(batch.map(({ image }) => options.stores.blobs.get(image)));
        const results = await embedder.embed(id, bytes, { priority: 'batch', signal: options.signal });
        vectors.push(...results.map((result) => ('rejected' in result ? undefined : result.vectors[0])));
        options.onProgress?.((done += batch.length), total);
      }
      return vectors;
    };
    const both = async (pictures: LabelledPicture[]): Promise<Pairs> =>
      usable(pictures, await embed(model.id, pictures), await embed(CANDIDATE, pictures));
    const [queries, catalogue] = [await both(sample.queries), await both(sample.catalogue)];
    const { dim } = modelSummaryOf(model);
    const recall = (asking: Float32Array[], found: Float32Array[]): number =>
      evaluateRetrieval({
        dim,
        queries: joined(asking, dim),
        queryLabels: queries.labels,
        catalogue: joined(found, dim),
        catalogueLabels: catalogue.labels,
        ks: [1],
      }).recall['1']!;
    const [numQueries, numCatalogue] = [queries.labels.length, catalogue.labels.length];
    const isMeasurable = numQueries > 0 && numCatalogue > 0;
    const recallAt1 = isMeasurable
      ? {
          model: recall(queries.model, catalogue.model),
          variant: recall(queries.variant, catalogue.variant),
          variantQueries: recall(queries.variant, catalogue.model),
        }
      : null;
    const measures = { numQueries, numCatalogue, recallAt1, maxRecallDrop };
    const agreement = agreementOf([...queries.model, ...catalogue.model], [...queries.variant, ...catalogue.variant]);
    return { quality: { ...measures, ...decideStandIn(measures) }, agreement };
  } finally {
    await embedder.close();
  }
}

interface Pairs {
  labels: string[];
  model: Float32Array[];
  variant: Float32Array[];
}

/** Pictures that cannot be decoded take no part. */
function usable(
  pictures: LabelledPicture[],
  model: (Float32Array | undefined)[],
  variant: (Float32Array | undefined)[],
): Pairs {
  const pairs: Pairs = { labels: [], model: [], variant: [] };
  pictures.forEach(({ label }, i) => {
    const [one, other] = [model[i], variant[i]];
    if (one === undefined || other === undefined) return;
    pairs.labels.push(label);
    pairs.model.push(one);
    pairs.variant.push(other);
  });
  return pairs;
}

function joined(vectors: Float32Array[], dim: number): Float32Array {
  const all = new Float32Array(vectors.length * dim);
  vectors.forEach((vector, i) => all.set(vector, i * dim));
  return all;
}
