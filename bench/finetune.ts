/**
 * What fine-tuning does for retrieval on the Grocery Store dataset: fits on the training photos and the iconic pictures, asks with
 * the validation photos. Prints recall@1, @5 and @10 against both catalogues for the pretrained features, the fine-tuned features,
 * the head that was learnt with them and a new head on the fine-tuned features.
 *
 *     node bench/finetune.ts --dataset FOLDER --cache FOLDER [--set key=value ...] [--eval-sizes 224,256] [--new-head]
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
import { FINETUNE_DEFAULTS } from '../infra/recipes/finetune-defaults.ts';
import { evaluateRetrieval } from '../lib/eval/retrieval.ts';
import { decodeModel, encodeModel } from '../lib/export/onnx-proto.ts';
import { frozenPart, readUnits } from '../lib/finetune/backbone-graph.ts';
import { finetune } from '../lib/finetune/finetune.ts';
import { cutBefore } from '../lib/finetune/network.ts';
import { FinetuneProgram } from '../lib/finetune/program.ts';

const { values } = parseArgs({
  options: {
    dataset: { type: 'string' },
    cache: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    'eval-sizes': { type: 'string', default: '224' },
    threads: { type: 'string', default: '1' },
    steps: { type: 'string', default: '0' },
    save: { type: 'string' },
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
const made = await finetune(program, tuning, undefined, {
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
  for (const size of values['eval-sizes'].split(',').map(Number)) {
    const own = cutBefore(tuning.blocks, size);
    const judge = new FinetuneProgram(
      tf,
      own,
      readUnits(graph, units),
      { ...emptyData(), numLabels: names.length },
      tuning,
    );
    for (const crop of [Math.round((size * 256) / 224), size]) {
      const [q, c, i] = [
        await activations(val, size, 1, crop),
        await activations(train, size, 1, crop),
        await activations(iconic, size, 1, crop),
      ];
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
          const dim = kind === 'features' ? 1280 : tuning.dim;
          const queries = await rows(q);
          const line = [[train, await rows(c)] as const, [iconic, await rows(i)] as const].map(([list, catalogue]) => {
            const { recall } = evaluateRetrieval({
              dim,
              queries,
              queryLabels: val.map(({ label }) => label),
              catalogue,
              catalogueLabels: list.map(({ label }) => label),
              ks: [1, 5, 10],
            });
            return Object.values(recall)
              .map((value) => value.toFixed(3))
              .join(' / ');
          });
          log(`size ${size} of ${crop} ${what} ${kind}: photos ${line[0]}, iconic ${line[1]}`);
        }
      }
    }
  }
}
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

async function activations(
  list: Picture[],
  size: number,
  views: number,
  shorter = Math.round((size * 256) / 224),
): Promise<ActivationCache> {
  const images = list.map(({ image }) => image);
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

function seconds(from: number, to: number): string {
  return ((to - from) / 1000).toFixed(0);
}

function log(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}
