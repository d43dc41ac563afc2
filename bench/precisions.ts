/**
 * What does a model lose and win in another precision? Bytes, images/s in onnxruntime-node at 1 and 2 threads and in onnxruntime-web
 * (WebAssembly in this process, 1 thread), how well the vectors of both runtimes agree, the largest difference of a
 * vector, and recall on labelled photos: both sides by the variant, and queries by the variant against the fp32 catalogue (a
 * query embedded on a device). int8 is calibrated in several ways, beside onnxruntime's own quantiser in Python where there is one.
 *
 *     node bench/precisions.ts --grocery FOLDER [--model pretrained] [--python PYTHON] [--rounds 7] [--pictures 128]
 *         [--only NAME,…] [--speed-only]
 *
 * FOLDER holds photos.jsonl, iconic.jsonl and val.jsonl, as tools/grocery-jsonl.ts writes them.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { InferenceSession, Tensor, env } from 'onnxruntime-node';
import * as web from 'onnxruntime-web';
import { hardware } from '../infra/bench/hardware.ts';
import { loadConfig } from '../infra/config/env.ts';
import { resolveModel } from '../infra/evaluation/resolve-model.ts';
import { createEmbedder } from '../infra/inference/embedder.ts';
import { agreementOf } from '../infra/models/agreement.ts';
import { modelSummaryOf } from '../infra/models/model-summary.ts';
import { openStores } from '../infra/stores.ts';
import { calibrate } from '../infra/variants/calibrate.ts';
import { CANDIDATE, createCandidate } from '../infra/variants/candidate.ts';
import { INT8_DEFAULTS } from '../infra/variants/int8-settings.ts';
import type { Int8Settings } from '../infra/variants/int8-settings.ts';
import { evaluateRetrieval } from '../lib/eval/retrieval.ts';
import { decodeModel, encodeModel } from '../lib/export/onnx-proto.ts';
import { composeOnnx } from '../lib/export/head.ts';
import { halveWeights } from '../lib/export/halve-weights.ts';
import { planQuantisation } from '../lib/export/quantise/plan.ts';
import { halvedFiles, quantisedFiles } from '../lib/export/variant-files.ts';
import type { VariantFiles } from '../lib/export/variant-files.ts';
import { preprocess } from '../lib/images/preprocess.ts';
import { randomFrom } from '../lib/images/random.ts';
import { peerVariants } from './precisions-peer.ts';

const { values } = parseArgs({
  options: {
    grocery: { type: 'string' },
    model: { type: 'string', default: 'pretrained' },
    catalogue: { type: 'string', default: 'default' },
    python: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    pictures: { type: 'string', default: String(INT8_DEFAULTS.numPictures) },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    'speed-only': { type: 'boolean', default: false },
  },
});
if (values.grocery === undefined)
  throw new Error('Expected --grocery, the folder of photos.jsonl, iconic.jsonl and val.jsonl.');
const folder = values.grocery;
const [rounds, numPictures, seed] = [values.rounds, values.pictures, values.seed].map(Number) as [
  number,
  number,
  number,
];
/** Inferences of one round; alternating, so that a busy machine disturbs all alike. */
const RUNS = 40;
const KS = [1, 5, 10];
/** Pictures whose vectors are compared between the two runtimes. */
const COMPARED = 32;

interface Row {
  image: string;
  category: string;
}
const [photos, iconic, queries] = await Promise.all(['photos', 'iconic', 'val'].map(readRows));
const config = loadConfig();
const stores = await openStores(config);
const model = await stores.artifacts.get(
  await resolveModel({ stores, config, model: values.model, catalogue: values.catalogue }),
);
const { preprocessing, dim } = modelSummaryOf(model);
const fileOf = async (name: string): Promise<Buffer> => readFile(await stores.artifacts.materialise(model.id, name));
const [backbone, head] = [await fileOf('backbone.onnx'), await fileOf('head.onnx')];
const pictures = drawn(photos!, numPictures).map(({ image }) => image);

const fp32: VariantFiles = { 'backbone.onnx': backbone, 'head.onnx': head, 'model.onnx': await fileOf('model.onnx') };
const makers = new Map<string, () => Promise<VariantFiles>>([
  ['fp16', async () => halvedFiles(backbone, head)],
  ['int8 minMax', () => int8({ calibration: { kind: 'minMax' } })],
  ['int8 percentile 99.99', () => int8({ calibration: { kind: 'percentile', share: 0.9999 } })],
  ['int8 percentile 99.999', () => int8({ calibration: { kind: 'percentile', share: 0.99999 } })],
  ['int8 meanSquares', () => int8({ calibration: { kind: 'meanSquares' } })],
  ['int8 8-bit weights', () => int8({ weightLevels: 127 })],
  ['int8 float stem', () => int8({ keepFloat: [convNames()[0]!] })],
  ['int8 float last', () => int8({ keepFloat: [convNames().at(-1)!] })],
  ['int8 float stem+first block', () => int8({ keepFloat: convNames().slice(0, 3) })],
]);
if (values.python !== undefined) {
  const tensors = await Promise.all(pictures.map(async (path) => preprocess(await readFile(path), preprocessing)));
  const peer = peerVariants(values.python, { backbone, tensors, size: preprocessing.size });
  for (const { name, make } of peer) makers.set(name, async () => withBackbone(await make()));
}
const only = values.only?.split(',');
const chosen = [...makers].filter(([name]) => only === undefined || only.includes(name));

const measured: { name: string; files: VariantFiles; row: Record<string, unknown> }[] = [];
const base = values['speed-only'] ? undefined : await vectorsOf(fp32);
measured.push({ name: 'fp32', files: fp32, row: { ...sizes(fp32), ...(base && recalls(base)) } });
for (const [name, make] of chosen) {
  const files = await make();
  const row = { ...sizes(files), ...(base && lossesOf(base, await vectorsOf(files))) };
  measured.push({ name, files, row });
  process.stderr.write(`${name}: ${JSON.stringify(row)}\n`);
}
const speeds = rounds === 0 ? new Map<string, object>() : await speedsOf(measured);
const table = measured.map(({ name, row }) => ({ name, ...row, imagesPerSecond: speeds.get(name) }));
process.stdout.write(
  `${JSON.stringify({ model: model.id, n: { queries: queries!.length, photos: photos!.length, iconic: iconic!.length, calibration: pictures.length }, rounds, runs: RUNS, seed, hardware: hardware(), onnxruntime: env.versions.node, table }, null, 2)}\n`,
);
await stores.close();

async function readRows(name: string): Promise<Row[]> {
  const text = await readFile(join(folder, `${name}.jsonl`), 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
}

function drawn<T>(rows: T[], count: number): T[] {
  const random = randomFrom(seed);
  return rows
    .map((row) => ({ row, key: random() }))
    .sort((a, b) => a.key - b.key)
    .slice(0, count)
    .map(({ row }) => row);
}

function convNames(): string[] {
  return planQuantisation(decodeModel(backbone)).convs.map(({ node }) => node.name);
}

async function int8(changes: Partial<Int8Settings>): Promise<VariantFiles> {
  const settings = { ...INT8_DEFAULTS, ...changes };
  const graph = decodeModel(backbone);
  const plan = planQuantisation(graph, new Set(settings.keepFloat));
  const { ranges } = await calibrate(graph, plan, {
    preprocessing,
    calibration: settings.calibration,
    pictures: pictures.map((path) => () => readFile(path)),
    numThreads: config.embedThreads,
  });
  return quantisedFiles(graph, head, { plan, ranges, weightLevels: settings.weightLevels });
}

/** A backbone that somebody else made, under the same head. */
function withBackbone(bytes: Uint8Array): VariantFiles {
  const halved = encodeModel(halveWeights(decodeModel(head)));
  return { 'backbone.onnx': bytes, 'head.onnx': halved, 'model.onnx': composeOnnx(bytes, halved) };
}

interface Vectors {
  photos: Float32Array[];
  iconic: Float32Array[];
  queries: Float32Array[];
}

async function vectorsOf(files: VariantFiles): Promise<Vectors> {
  await using candidate = await createCandidate(stores.artifacts, model, files);
  const embedder = createEmbedder({ config, stores: { artifacts: candidate.artifacts } });
  const embed = async (rows: Row[]): Promise<Float32Array[]> => {
    const vectors: Float32Array[] = [];
    for (let from = 0; from < rows.length; from += 64) {
      const bytes = await Promise.all(rows.slice(from, from + 64).map(({ image }) => readFile(image)));
      for (const result of await embedder.embed(CANDIDATE, bytes, { priority: 'batch' })) {
        if ('rejected' in result) throw new Error(result.rejected);
        vectors.push(result.vectors[0]!);
      }
    }
    return vectors;
  };
  try {
    return { photos: await embed(photos!), iconic: await embed(iconic!), queries: await embed(queries!) };
  } finally {
    await embedder.close();
  }
}

function recalls(vectors: Vectors): Record<string, Record<string, number>> {
  const against = (rows: Row[], catalogue: Float32Array[]): Record<string, number> =>
    evaluateRetrieval({
      dim,
      queries: joined(vectors.queries),
      queryLabels: queries!.map(({ category }) => category),
      catalogue: joined(catalogue),
      catalogueLabels: rows.map(({ category }) => category),
      ks: KS,
    }).recall;
  return { photos: against(photos!, vectors.photos), iconic: against(iconic!, vectors.iconic) };
}

function lossesOf(base: Vectors, vectors: Vectors): Record<string, unknown> {
  return {
    ...agreementOf([...base.queries, ...base.photos], [...vectors.queries, ...vectors.photos]),
    ...recalls(vectors),
    queriesOnly: recalls({ ...base, queries: vectors.queries }),
  };
}

function joined(vectors: Float32Array[]): Float32Array {
  const all = new Float32Array(vectors.length * dim);
  vectors.forEach((vector, i) => all.set(vector, i * dim));
  return all;
}

function sizes(files: VariantFiles): Record<string, number> {
  return { bytes: files['model.onnx'].length };
}

/** One file, opened in one of the two runtimes. */
interface Opened {
  run: (image: Float32Array) => Promise<Float32Array>;
  close: () => Promise<void>;
}

async function openNode(bytes: Uint8Array, threads: number): Promise<Opened> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: threads, logSeverityLevel: 3 });
  const { size } = preprocessing;
  return {
    run: async (image) =>
      (await session.run({ image: new Tensor('float32', image, [1, 3, size, size]) }))['embedding']!
        .data as Float32Array,
    close: () => session.release(),
  };
}

/** The build that the page loads; one thread, as it is there. */
async function openWeb(bytes: Uint8Array): Promise<Opened> {
  web.env.wasm.numThreads = 1;
  const session = await web.InferenceSession.create(bytes, { executionProviders: ['wasm'], logSeverityLevel: 3 });
  const { size } = preprocessing;
  return {
    run: async (image) =>
      (await session.run({ image: new web.Tensor('float32', image, [1, 3, size, size]) }))['embedding']!
        .data as Float32Array,
    close: () => session.release(),
  };
}

/** Inference alone, of one picture at a time: medians over rounds that alternate between the files. */
async function speedsOf(all: typeof measured): Promise<Map<string, Record<string, unknown>>> {
  const images: Float32Array[] = [];
  for (const { image } of queries!.slice(0, COMPARED))
    images.push(await preprocess(await readFile(image), preprocessing));
  const speeds = new Map<string, Record<string, unknown>>(all.map(({ name }) => [name, {}]));
  const runtimes: [string, (bytes: Uint8Array) => Promise<Opened>][] = [
    ['node, 1 thread', (bytes) => openNode(bytes, 1)],
    ['node, 2 threads', (bytes) => openNode(bytes, 2)],
    ['web, 1 thread', openWeb],
  ];
  const vectors = new Map<string, Float32Array[]>();
  for (const [runtime, open] of runtimes) {
    const opened: Opened[] = [];
    for (const { files } of all) opened.push(await open(files['model.onnx']));
    const seconds = all.map((): number[] => []);
    for (const [i, { run }] of opened.entries()) {
      const embedded: Float32Array[] = [];
      for (const image of images) embedded.push(Float32Array.from(await run(image)));
      const name = all[i]!.name;
      const before = vectors.get(name);
      if (before === undefined) vectors.set(name, embedded);
      else speeds.get(name)![`${runtime}, against node, 1 thread`] = agreementOf(before, embedded);
    }
    for (let round = 0; round < rounds; round++) {
      for (const [i, { run }] of opened.entries()) {
        const started = performance.now();
        for (let done = 0; done < RUNS; done++) await run(images[0]!);
        seconds[i]!.push((performance.now() - started) / 1000);
      }
    }
    all.forEach(({ name }, i) => {
      const middle = seconds[i]!.toSorted((a, b) => a - b)[rounds >> 1]!;
      speeds.get(name)![runtime] = Math.round((RUNS / middle) * 10) / 10;
    });
    for (const { close } of opened) await close();
  }
  return speeds;
}
