import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Preprocessing } from '../../contracts/model.ts';
import type { ModelProto } from '../../lib/export/onnx-proto.ts';
import { encodeModel } from '../../lib/export/onnx-proto.ts';
import { frozenPart } from '../../lib/finetune/backbone-graph.ts';
import type { Cut } from '../../lib/finetune/network.ts';
import type { FinetuneData } from '../../lib/finetune/program.ts';
import { PIXELS_VERSION } from '../../lib/images/preprocess.ts';
import { randomOf } from '../../lib/train/random.ts';
import type { LabelledPicture, Split } from '../../lib/train/split.ts';
import type { Config } from '../config/env.ts';
import type { Stores } from '../stores.ts';
import { openActivationCache } from './activation-cache.ts';
import type { ActivationCache } from './activation-cache.ts';

/** After each epoch at most so many queries look among one picture each of at most so many labels: seconds, however large the catalogue. */
const MAX_QUERIES = 400;
const MAX_ANSWERS = 400;

export interface FinetuneDataOptions {
  config: Config;
  stores: Pick<Stores, 'blobs'>;
  split: Split;
  graph: ModelProto;
  cut: Cut;
  /** Of the pictures that are learnt from. */
  preprocessing: Preprocessing;
  views: number;
  signal: AbortSignal;
  onProgress: (prepared: number, toPrepare: number) => void;
}

export interface OpenFinetuneData extends AsyncDisposable {
  data: FinetuneData;
  /** What of the pictures that learn, and of the sample, could be decoded. */
  readable: ReadonlySet<string>;
  numPrepared: number;
  /** What may be removed once nobody resumes. */
  folders: readonly string[];
}

/** Puts what is learnt from, in all views, and a sample of what judges through the frozen part. */
export async function openFinetuneData(options: FinetuneDataOptions): Promise<OpenFinetuneData> {
  const { split, views } = options;
  const [queries, answers] = sample(split);
  const lists = [split.train, queries, answers];
  const total = lists.reduce((sum, { length }) => sum + length, 0);
  await using opened = new AsyncDisposableStack();
  const caches: ActivationCache[] = [];
  let before = 0;
  for (const [i, list] of lists.entries()) {
    const images = [...new Set(list.map(({ image }) => image))];
    const onProgress = (done: number): void => options.onProgress(before + done, total);
    caches.push(opened.use(await openCache(options, images, i === 0 ? views : 1, onProgress)));
    before += images.length;
  }
  const [train, asked, known] = caches as [ActivationCache, ActivationCache, ActivationCache];
  const learnt = byPicture(split.train, train);
  const names = [...new Set(learnt.map(({ label }) => label))].sort();
  const plain = (list: readonly LabelledPicture[], cache: ActivationCache): FinetuneData['queries'] => {
    const rows = byPicture(list, cache);
    return {
      labels: rows.map(({ label }) => label),
      source: { read: (at) => cache.read(at.map((row) => rows[row]!.row)) },
    };
  };
  const owned = opened.move();
  return {
    data: {
      views,
      labels: Int32Array.from(learnt, ({ label }) => names.indexOf(label)),
      numLabels: names.length,
      train: {
        read: (rows) => train.read(rows.map((row) => learnt[Math.floor(row / views)]!.row * views + (row % views))),
      },
      queries: plain(queries, asked),
      answers: plain(answers, known),
    },
    readable: new Set(caches.flatMap(({ images }) => images)),
    numPrepared: before,
    folders: caches.map(({ folder }) => folder),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Labelled pictures that could be decoded, and the cache's row of each. A picture may carry several labels. */
function byPicture(list: readonly LabelledPicture[], { images }: ActivationCache): { label: string; row: number }[] {
  const rowOf = new Map(images.map((image, row) => [image, row]));
  return list.flatMap(({ image, label }) => {
    const row = rowOf.get(image);
    return row === undefined ? [] : [{ label, row }];
  });
}

/** One picture of each label that answers, and queries for them. The same for the same split. */
function sample({ queries, catalogue }: Split): [LabelledPicture[], LabelledPicture[]] {
  const asked = new Set(queries.map(({ label }) => label));
  const firsts = new Map(catalogue.toReversed().map((picture) => [picture.label, picture]));
  const answers = drawn(
    [...firsts.values()].filter(({ label }) => asked.has(label)),
    MAX_ANSWERS,
  );
  const answered = new Set(answers.map(({ label }) => label));
  return [
    drawn(
      queries.filter(({ label }) => answered.has(label)),
      MAX_QUERIES,
    ),
    answers,
  ];
}

function drawn(list: readonly LabelledPicture[], most: number): LabelledPicture[] {
  return list
    .map((picture) => ({ picture, at: randomOf('finetune', picture.image)() }))
    .sort((a, b) => a.at - b.at || (a.picture.label < b.picture.label ? -1 : 1))
    .slice(0, most)
    .map(({ picture }) => picture);
}

function openCache(
  { config, stores, graph, cut, preprocessing, signal }: FinetuneDataOptions,
  images: readonly string[],
  views: number,
  onProgress: (done: number) => void,
): Promise<ActivationCache> {
  const frozen = encodeModel(frozenPart(graph, cut, preprocessing.size));
  const key = createHash('sha256')
    .update(frozen)
    .update(JSON.stringify({ images, views, preprocessing, pixels: PIXELS_VERSION }))
    .digest('hex');
  return openActivationCache({
    ...{ config, blobs: stores.blobs, graph: frozen, preprocessing, images, views, signal, onProgress },
    folder: join(activationsFolder(config), key.slice(0, 32)),
    width: cut.channels * cut.side ** 2,
  });
}

/** Of this machine, and of no use once the backbone is published. */
export function activationsFolder({ dataDir }: Pick<Config, 'dataDir'>): string {
  return join(dataDir, 'activations');
}
