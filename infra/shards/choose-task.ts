import { open } from 'node:fs/promises';
import type { AutoSpec, IndexSpec } from '../../contracts/ann.ts';
import { chooseIndex } from '../../lib/ann/auto.ts';
import type { AutoMeasured } from '../../lib/ann/auto.ts';
import { answerTask } from './answer-task.ts';
import { planRows } from './plan-rows.ts';
import { sampled } from './sampled.ts';
import { readPlainVector } from './snapshot-vectors.ts';
import type { SnapshotVectors } from './snapshot-vectors.ts';

/** Input of the thread that chooses an index; paths are local and verified. */
export interface ChooseTaskInput extends SnapshotVectors {
  wish: AutoSpec;
  numShards: number;
}
export interface ChooseTaskOutput {
  spec: IndexSpec;
  reason: string;
  measured: AutoMeasured[];
}

/** Rows that candidates are built over: enough to see how they grow, few enough to take seconds. */
const SAMPLE_ROWS = 20_000;
/** Below this every index answers at once, and there is too little to measure by. */
const MIN_ROWS = 1_000;
/** Of what may be missed, this part is left untouched: the check of the built index asks other queries. */
const HEADROOM = 0.2;
/** As the check of the built index counts. */
const K = 10;

await answerTask<ChooseTaskInput, ChooseTaskOutput>(async ({ dim, views, wish, numShards, ...paths }, onProgress) => {
  // Items belong to shards by a hash: the first is as good a sample as any, and as large as the others.
  const { rows } = await planRows(paths.itemsPath, paths.imagesPath, 0, numShards);
  const { metric, recall, maxBytes, seed } = wish;
  if (rows.length < MIN_ROWS) {
    const reason = `exact: a shard has ${rows.length} rows, and comparing with fewer than ${MIN_ROWS} takes no time worth saving.`;
    return { spec: { kind: 'exact', metric }, reason, measured: [] };
  }
  const images = sampled(
    rows.map(({ image }) => image),
    SAMPLE_ROWS,
    seed,
  );
  const sample = await readVectors(paths.vectorsPath, images, dim, views);
  onProgress(images.length, images.length);
  return chooseIndex({
    ...{ sample, dim, metric, numRows: rows.length, k: K, seed },
    recall: recall + (1 - recall) * HEADROOM,
    maxBytes: maxBytes === 0 ? null : Math.floor(maxBytes / numShards),
    now: () => performance.now(),
  });
});

/** View 0 of each picture: [images, dim]. */
async function readVectors(path: string, images: readonly number[], dim: number, views: number): Promise<Float32Array> {
  const vectors = new Float32Array(images.length * dim);
  await using file = await open(path);
  for (const [i, image] of images.entries()) {
    await readPlainVector(file, image, views, vectors.subarray(i * dim, (i + 1) * dim), `picture ${image}`);
  }
  return vectors;
}
