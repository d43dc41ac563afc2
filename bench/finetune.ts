/**
 * What fine-tuning does for retrieval on the Grocery Store dataset: fits on the training photos and the iconic pictures, asks with
 * the validation photos. Prints recall@1, @5 and @10 against both catalogues for the pretrained features, the fine-tuned features,
 * the head that was learnt with them and a new head on the fine-tuned features.
 *
 *     node bench/finetune.ts --dataset FOLDER --cache FOLDER [--set key=value ...] [--eval-sizes 224,288] [--save FILE | --load FILE] [--new-head]
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'csv-parse/sync';
import type { FinetuneConfig } from '../contracts/finetune.ts';
import { TENSORFLOW_ENV, loadTensorFlow } from '../infra/compute/tensorflow.ts';
import { loadConfig, setNativeEnv } from '../infra/config/env.ts';
import { openActivationCache } from '../infra/finetune/activation-cache.ts';
import type { ActivationCache } from '../infra/finetune/activation-cache.ts';
import { EFFICIENTNET_LITE0_PREPROCESSING, ensureBackbone } from '../infra/models/ensure-backbone.ts';
import { openStores } from '../infra/stores.ts';
import { RECIPES } from '../infra/recipes/recipes.ts';
import { FINETUNE_DEFAULTS } from '../infra/recipes/finetune-defaults.ts';
import { evaluateRetrieval } from '../lib/eval/retrieval.ts';
import { decodeModel, encodeModel } from '../lib/export/onnx-proto.ts';
import { frozenPart, readUnits } from '../lib/finetune/backbone-graph.ts';
import { finetune } from '../lib/finetune/finetune.ts';
import { cutBefore } from '../lib/finetune/network.ts';
import { FinetuneProgram } from '../lib/finetune/program.ts';
import { FEATURE_DIM } from '../lib/nn/efficientnet-lite0.ts';
import { trainHead } from '../lib/train/train-head.ts';

const { values } = parseArgs({
  options: {
    dataset: { type: 'string' },
    cache: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    'eval-sizes': { type: 'string', default: '224' },
    threads: { type: 'string', default: '1' },
    steps: { type: 'string', default: '0' },
    save: { type: 'string' },
    load: { type: 'string' },
    'new-head': { type: 'boolean', default: false },
  },
});
const { dataset, cache } = values;
if (dataset === undefined || cache === undefined) throw new Error('Expected --dataset and --cache.');
const settings = Object.fromEntries(
  values.set.map((text) => {
    const at = text.indexOf('=');
    return [text.slice(0, at), JSON.parse(text.slice(at + 1)) as unknown];
  }),
);
const tuning: FinetuneConfig = { ...FINETUNE_DEFAULTS, ...settings };

setNativeEnv({ ...TENSORFLOW_ENV, TF_NUM_INTRAOP_THREADS: values.threads });
const config = loadConfig();
const stores = await openStores(config);
const base = await ensureBackbone(stores, config, 'efficientnet-lite0');
const graph = decodeModel(readFileSync(await stores.artifacts.materialise(base.id, 'backbone.onnx')));
const { tf, backend } = await loadTensorFlow(config);

const pictures = new Map<string, Buffer>();
const [train, iconic, val] = [read('train'), readIconic(), read('val')];
const learnt = [...iconic, ...train];
const names = [...new Set(learnt.map(({ label }) => label))].sort();

const cut = cutBefore(tuning.blocks, tuning.size);
const units = cut.stages.flatMap((stage) => stage.units);
const p = EFFICIENTNET_LITE0_PREPROCESSING;
const startedAt = performance.now();
const trainSource = await activations(learnt, tuning.size, tuning.views);
const querySource = await activations(val, tuning.size, 1);
const answerSource = await activations(iconic, tuning.size, 1);
const cachedAt = performance.now();
log(`cached in ${seconds(startedAt, cachedAt)} s`);

const program = new FinetuneProgram(
  tf,
  cut,
  readUnits(graph, units),
  {
    views: tuning.views,
    labels: Int32Array.from(learnt, ({ label }) => names.indexOf(label)),
    numLabels: names.length,
    train: trainSource,
    queries: { labels: val.map(({ label }) => label), source: querySource },
    answers: { labels: iconic.map(({ label }) => label), source: answerSource },
  },
  tuning,
);
log(
  `${program.parameters.length} parameters, ${program.numSteps} steps, backend ${backend}, cut ${cut.output} ${cut.channels}x${cut.side}`,
);
let mean = 0;
const stop = new AbortController();
const loaded = values.load === undefined ? undefined : readFileSync(values.load);
const made =
  loaded !== undefined
    ? { values: new Float32Array(loaded.buffer.slice(loaded.byteOffset, loaded.byteOffset + loaded.length)) }
    : await finetune(program, tuning, undefined, {
        signal: stop.signal,
        onStep(report) {
          mean += (report.loss - mean) / Math.min(report.step, 50);
          if (report.step % 20 === 0 || report.step === report.numSteps) {
            const ms = (performance.now() - cachedAt) / report.step;
            log(
              `step ${report.step}/${report.numSteps} loss ${mean.toFixed(3)} ${ms.toFixed(0)} ms/step ${report.recallByEpoch
                .slice(-3)
                .map((r) => r.toFixed(3))
                .join(' ')} ${tf.memory().numTensors} tensors`,
            );
          }
          if (report.step === Number(values.steps)) stop.abort();
        },
      }).catch((error: unknown) => {
        if (!stop.signal.aborted) throw error;
        return undefined;
      });
const trainedAt = performance.now();
log(`trained in ${seconds(cachedAt, trainedAt)} s`);
if (made !== undefined) {
  if (values.save !== undefined) writeFileSync(values.save, Buffer.from(made.values.buffer));
  for (const size of values['eval-sizes'].split(',').filter(Boolean).map(Number)) {
    const own = cutBefore(tuning.blocks, size);
    const judge = new FinetuneProgram(
      tf,
      own,
      readUnits(graph, units),
      { ...emptyData(), numLabels: names.length },
      tuning,
    );
    {
      await using q = await activations(val, size, 1);
      await using c = await activations(train, size, 1);
      await using i = await activations(iconic, size, 1);
      for (const [what, vector] of [
        ['fine-tuned', made.values],
        ['pretrained', program.start],
      ] as const) {
        const kinds = what === 'pretrained' ? (['features'] as const) : (['features', 'embed'] as const);
        for (const kind of kinds) {
          const rows = async (source: ActivationCache): Promise<Float32Array> =>
            kind === 'features'
              ? judge.features(vector, source, source.images.length)
              : judge.embed(vector, source, source.images.length);
          const dim = kind === 'features' ? FEATURE_DIM : tuning.dim;
          const queries = await rows(q);
          const [photos, shop] = [
            recallOf(dim, queries, await rows(c), train),
            recallOf(dim, queries, await rows(i), iconic),
          ];
          log(`size ${size} ${what} ${kind}: photos ${photos}, iconic ${shop}`);
        }
      }
    }
  }
}
if (values['new-head'] && made !== undefined) await judgeNewHead(made.values);
await stores.close();

interface Picture {
  image: string;
  label: string;
}

function emptyData(): {
  views: number;
  labels: Int32Array;
  train: ActivationCache;
  queries: { labels: string[]; source: ActivationCache };
  answers: { labels: string[]; source: ActivationCache };
} {
  const none = { labels: [], source: trainSource };
  return { views: 1, labels: Int32Array.of(0), train: trainSource, queries: none, answers: none };
}

async function activations(list: Picture[], size: number, views: number): Promise<ActivationCache> {
  const images = list.map(({ image }) => image);
  const shorter = Math.round((size * 256) / 224);
  const own = cutBefore(tuning.blocks, size);
  const key = createHash('sha256')
    .update(JSON.stringify([images, own.output, size, shorter, views]))
    .digest('hex')
    .slice(0, 12);
  return openActivationCache({
    config,
    blobs: { get: (image) => Promise.resolve(pictures.get(image)!) },
    folder: join(cache!, key),
    graph: encodeModel(frozenPart(graph, own, size)),
    preprocessing: { ...p, size, resizeShorterSide: shorter },
    images,
    views,
    width: own.channels * own.side ** 2,
    onProgress: (done) => {
      if (done % 512 === 0) log(`cached ${done} of ${images.length}`);
    },
  });
}

function read(split: string): Picture[] {
  return readFileSync(join(dataset!, `${split}.txt`), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [path = '', label = ''] = line.split(',').map((part) => part.trim());
      return picture(path, label);
    });
}

function readIconic(): Picture[] {
  const rows = parse<Record<string, string>>(readFileSync(join(dataset!, 'classes.csv')), {
    columns: true,
    trim: true,
  });
  return rows.map((row) => picture(row['Iconic Image Path (str)']!, row['Class ID (int)']!));
}

function picture(path: string, label: string): Picture {
  const bytes = readFileSync(join(dataset!, path));
  const image = createHash('sha256').update(bytes).digest('hex');
  pictures.set(image, bytes);
  return { image, label };
}

/** What a retrain serves: a head of the default recipe on features of the fine-tuned backbone, learnt from all views. */
async function judgeNewHead(vector: Float32Array): Promise<void> {
  const all = await program.features(vector, trainSource, learnt.length * tuning.views);
  const [queries, answers] = [
    await program.features(vector, querySource, val.length),
    await program.features(vector, answerSource, iconic.length),
  ];
  const head = await trainHead(
    tf,
    {
      ...{ featureDim: FEATURE_DIM, views: tuning.views, features: all, numLabels: names.length },
      labels: Int32Array.from(learnt, ({ label }) => names.indexOf(label)),
      ...{ queries: new Float32Array(), queryLabels: [], catalogue: new Float32Array(), catalogueLabels: [] },
    },
    { ...RECIPES['default']!.config.train, seed: tuning.seed },
  );
  const plain = new Float32Array(train.length * FEATURE_DIM);
  train.forEach((_, i) => {
    const from = (iconic.length + i) * tuning.views * FEATURE_DIM;
    plain.set(all.subarray(from, from + FEATURE_DIM), i * FEATURE_DIM);
  });
  const dim = head.bias.length;
  const embed = (features: Float32Array): Float32Array =>
    tf.tidy(() =>
      tf
        .add(
          tf.matMul(
            tf.tensor2d(features, [features.length / FEATURE_DIM, FEATURE_DIM]),
            tf.tensor2d(head.kernel, [FEATURE_DIM, dim]),
          ),
          tf.tensor1d(head.bias),
        )
        .dataSync<'float32'>(),
    );
  const asked = embed(queries);
  log(
    `new head: photos ${recallOf(dim, asked, embed(plain), train)}, iconic ${recallOf(dim, asked, embed(answers), iconic)}`,
  );
}

/** @returns recall@1 / @5 / @10 */
function recallOf(dim: number, queries: Float32Array, catalogue: Float32Array, list: Picture[]): string {
  const { recall } = evaluateRetrieval({
    ...{ dim, queries, catalogue, ks: [1, 5, 10] },
    queryLabels: val.map(({ label }) => label),
    catalogueLabels: list.map(({ label }) => label),
  });
  return Object.values(recall)
    .map((value) => value.toFixed(3))
    .join(' / ');
}

function seconds(from: number, to: number): string {
  return ((to - from) / 1000).toFixed(0);
}

function log(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}
