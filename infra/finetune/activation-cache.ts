import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { BlobStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Preprocessing } from '../../contracts/model.ts';
import { viewSeeds } from '../../lib/embed/view-seeds.ts';
import type { ActivationSource } from '../../lib/finetune/program.ts';
import { decodeHalves, encodeHalves, halfBytes } from '../../lib/sync/compression/fp16.ts';
import { ThreadPool } from '../inference/thread-pool.ts';
import { resolveExecutionProvider } from '../compute/execution-provider.ts';
import type { Config } from '../config/env.ts';

/** Pictures per file: seconds of work that a killed process does again. */
const CHUNK = 64;

export interface ActivationCacheOptions {
  config: Pick<Config, 'embedThreads' | 'executionProvider'>;
  blobs: Pick<BlobStore, 'get'>;
  /** Where the files lie; only ever of this graph, preprocessing and list. */
  folder: string;
  /** ONNX of the frozen part: one picture in, the values at the cut out. */
  graph: Uint8Array;
  preprocessing: Preprocessing;
  /** SHA-256s of pictures. */
  images: readonly string[];
  views: number;
  /** Values per row. */
  width: number;
  signal?: AbortSignal;
  onProgress?: (done: number) => void;
}

/** Activations of the pictures that could be decoded, in the order asked; row picture * views + view. */
export interface ActivationCache extends ActivationSource, AsyncDisposable {
  images: readonly string[];
  folder: string;
}

/**
 * Runs every view of every picture through the frozen part once and keeps the results on disk as halves. Files are put in place
 * whole and depend on nothing but the options, so that what a killed process left is taken over as it is.
 * @throws LookalikeError `cancelled` | `notFound` | `unavailable`
 */
export async function openActivationCache(options: ActivationCacheOptions): Promise<ActivationCache> {
  const { folder, images, views, width } = options;
  await mkdir(folder, { recursive: true });
  const chunks = Array.from({ length: Math.ceil(images.length / CHUNK) }, (_, i) =>
    images.slice(i * CHUNK, (i + 1) * CHUNK),
  );
  const kept = await fillChunks(options, chunks);
  const recordBytes = halfBytes(width);
  const places = kept.flatMap((held, chunk) => held.map((_, at) => ({ chunk, at })));
  const files: FileHandle[] = [];
  for (const chunk of chunks.keys()) files.push(await open(fileOf(folder, chunk), 'r'));
  return {
    folder,
    images: kept.flat(),
    async read(rows) {
      const out = new Float32Array(rows.length * width);
      await Promise.all(
        [...rows].map(async (row, i) => {
          const { chunk, at } = places[Math.floor(row / views)]!;
          const bytes = Buffer.allocUnsafe(recordBytes);
          const { bytesRead } = await files[chunk]!.read(
            bytes,
            0,
            recordBytes,
            (at * views + (row % views)) * recordBytes,
          );
          if (bytesRead !== recordBytes) {
            throw new LookalikeError('unavailable', `Expected ${recordBytes} bytes of activations, got ${bytesRead}.`);
          }
          out.set(decodeHalves(bytes, width), i * width);
        }),
      );
      return out;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(files.map((file) => file.close()));
    },
  };
}

/** Computes the chunks that are not there yet; gives each chunk's decodable pictures. */
async function fillChunks(
  { config, blobs, folder, graph, preprocessing, views, width, signal, onProgress }: ActivationCacheOptions,
  chunks: readonly (readonly string[])[],
): Promise<string[][]> {
  const graphPath = join(folder, `frozen-${process.pid}.onnx`);
  await writeFile(graphPath, graph);
  const { provider } = await resolveExecutionProvider(config);
  const pool = new ThreadPool({
    entry: new URL(`../inference/embed-thread${extname(import.meta.url)}`, import.meta.url),
    numThreads: config.embedThreads,
    workerData: { provider },
  });
  const model = { backbone: graphPath, head: null, preprocessing, featureDim: width, dim: width };
  const rowsOf = async (image: string): Promise<Uint8Array[] | null> => {
    const seeds = viewSeeds(image, views);
    const { answer } = await pool.run({ kind: 'embed', model, image: await blobs.get(image), seeds }, 'batch', signal);
    if (answer.kind === 'embedded') return answer.answer.vectors.map(encodeHalves);
    if (answer.kind === 'rejected') return null;
    throw new LookalikeError(
      answer.kind === 'failed' ? answer.code : 'unavailable',
      answer.kind === 'failed' ? answer.message : 'Expected activations, got vectors.',
    );
  };
  const kept: string[][] = [];
  let done = 0;
  try {
    for (const [number, images] of chunks.entries()) {
      if (signal?.aborted) throw new LookalikeError('cancelled', 'Fine-tuning was cancelled.');
      let held = await listOf(folder, number);
      if (held === null) {
        const rows = await Promise.all(images.map(rowsOf));
        held = images.filter((_, i) => rows[i] !== null);
        await put(fileOf(folder, number), Buffer.concat(rows.flatMap((views) => views ?? [])));
        // Last: a chunk whose list is there is whole.
        await put(listPath(folder, number), Buffer.from(JSON.stringify(held)));
      }
      kept.push(held);
      done += images.length;
      onProgress?.(done);
    }
  } finally {
    await pool.close();
    await rm(graphPath, { force: true });
  }
  return kept;
}

function fileOf(folder: string, chunk: number): string {
  return join(folder, `${chunk}.f16`);
}

function listPath(folder: string, chunk: number): string {
  return join(folder, `${chunk}.json`);
}

async function listOf(folder: string, chunk: number): Promise<string[] | null> {
  try {
    return JSON.parse(await readFile(listPath(folder, chunk), 'utf8')) as string[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Whole or not at all; of two processes at the same work, both write the same. */
async function put(path: string, bytes: Uint8Array): Promise<void> {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, bytes);
  await rename(draft, path);
}
