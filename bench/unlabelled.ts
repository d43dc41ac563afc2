/**
 * What can be learnt from pictures without labels? Recall of labelled queries that nothing learnt from, among items whose labels were kept
 * from the training, by the untrained features, by their principal axes, and by a head that learnt what the views of a picture share.
 *
 *     node bench/unlabelled.ts --items FILE,… --queries FILE [--against FILE] [--views 4] [--seeds 1,2,3]
 *
 * Files as `catalogue import` takes them, in JSON lines; `--items` are learnt from, `--against` (default: the same) are asked.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { TrainConfig } from '../contracts/training.ts';
import { loadTensorFlow } from '../infra/compute/tensorflow.ts';
import { loadConfig } from '../infra/config/env.ts';
import { createEmbedder } from '../infra/inference/embedder.ts';
import { ensureBackbone } from '../infra/models/ensure-backbone.ts';
import { modelSummaryOf } from '../infra/models/model-summary.ts';
import { RECIPES } from '../infra/recipes/recipes.ts';
import { openStores } from '../infra/stores.ts';
import { evaluateRetrieval } from '../lib/eval/retrieval.ts';
import { trainHead } from '../lib/train/train-head.ts';

const { values } = parseArgs({
  options: {
    items: { type: 'string' },
    queries: { type: 'string' },
    against: { type: 'string' },
    views: { type: 'string', default: '4' },
    seeds: { type: 'string', default: '1,2,3' },
  },
});
if (values.items === undefined || values.queries === undefined) throw new Error('Expected --items and --queries.');
const views = Number(values.views);

interface Row {
  image: string;
  category: string;
  label?: string;
}
const config = loadConfig();
const stores = await openStores(config);
const backbone = await ensureBackbone(stores, config, 'efficientnet-lite0');
const { featureDim } = modelSummaryOf(backbone);
const embedder = createEmbedder({ config, stores });
const { tf } = await loadTensorFlow(config);

const items = (await Promise.all(values.items.split(',').map(readRows))).flat();
const asked = values.against === undefined ? items : await readRows(values.against);
const queries = await readRows(values.queries);
const features = new Map<string, Float32Array[]>();
const hashes = new Map<string, string>();
await embed([...items, ...asked], views);
await embed(queries, 1);
await embedder.close();

/** Each distinct picture is a label of its own. */
const pictures = [...new Map(items.map((row) => [hashOf(row), row])).values()];
const shown = { views, numLabels: pictures.length, features: concatenated(pictures, views) };
report('untrained', featureDim, (rows) => concatenated(rows, 1));
const base = RECIPES['default']!.config.train;
for (const power of [0, 0.2, 0.5, 1]) {
  await judge(`principal axes, power ${power}`, {
    ...base,
    start: { kind: 'principalAxes', power },
    ...{ epochs: 0, schedule: { warmupEpochs: 0 } },
  });
}
for (const seed of values.seeds.split(',').map(Number)) {
  await judge(`views, seed ${seed}`, {
    ...RECIPES['demo']!.config.train,
    ...{ supervision: 'views', seed, patience: 0 },
    start: { kind: 'principalAxes', power: 0.2 },
  });
}
await stores.close();

async function judge(name: string, train: TrainConfig): Promise<void> {
  const nothing = { queries: new Float32Array(), queryLabels: [], catalogue: new Float32Array(), catalogueLabels: [] };
  const labels = Int32Array.from(pictures, (_, i) => i);
  const { kernel, bias } = await trainHead(tf, { ...shown, ...nothing, featureDim, labels }, train);
  report(name, bias.length, (rows) =>
    tf.tidy(() => {
      const x = tf.tensor2d(concatenated(rows, 1), [rows.length, featureDim]);
      return tf
        .add(tf.matMul(x, tf.tensor2d(kernel, [featureDim, bias.length])), tf.tensor1d(bias))
        .dataSync<'float32'>();
    }),
  );
}

function report(name: string, dim: number, vectorsOf: (rows: Row[]) => Float32Array): void {
  const { recall, mAP } = evaluateRetrieval({
    ...{ dim, ks: [1, 5, 10] },
    queries: vectorsOf(queries),
    queryLabels: queries.map(labelOf),
    catalogue: vectorsOf(asked),
    catalogueLabels: asked.map(labelOf),
  });
  const shares = [...Object.values(recall), mAP ?? Number.NaN].map((value) => value.toFixed(3));
  process.stdout.write(`${name}: R@1 / R@5 / R@10 / mAP ${shares.join(' / ')} (${queries.length} queries)\n`);
}

async function readRows(path: string): Promise<Row[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
}

async function embed(rows: Row[], numViews: number): Promise<void> {
  const missing = [...new Set(rows.map(({ image }) => image))].filter((image) => !features.has(image));
  for (let from = 0; from < missing.length; from += 64) {
    const batch = missing.slice(from, from + 64);
    const bytes = await Promise.all(batch.map((image) => readFile(image)));
    const results = await embedder.embed(backbone.id, bytes, { priority: 'batch', views: numViews });
    for (const [i, result] of results.entries()) {
      if ('rejected' in result) throw new Error(`${batch[i]!}: ${result.rejected}`);
      features.set(batch[i]!, result.vectors);
      hashes.set(batch[i]!, createHash('sha256').update(bytes[i]!).digest('hex'));
    }
  }
}

/** [rows * views, F]. */
function concatenated(rows: Row[], numViews: number): Float32Array {
  const all = new Float32Array(rows.length * numViews * featureDim);
  rows.forEach(({ image }, i) => {
    for (let v = 0; v < numViews; v++) all.set(features.get(image)![v]!, (i * numViews + v) * featureDim);
  });
  return all;
}

function labelOf({ label, category }: Row): string {
  return label ?? category;
}

function hashOf({ image }: Row): string {
  return hashes.get(image)!;
}
