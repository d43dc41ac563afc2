import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { z } from 'zod';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { Json } from '../../contracts/json.ts';
import type { Preprocessing } from '../../contracts/model.ts';
import { loadTensorFlow } from '../compute/tensorflow.ts';
import type { Config } from '../config/env.ts';
import { PreprocessingSchema } from './model-summary.ts';
import { adoptOnnx } from './onnx-backbone.ts';
import { exportTfjs, readTfjs } from './tfjs-backbone.ts';

export interface OwnBackbone {
  name: string;
  /** What it was made from, by hash: tells whether it is known already. */
  inputs: Record<string, string>;
  preprocessing: Preprocessing;
  /** Makes `backbone.onnx`. @throws LookalikeError `invalidInput` | `gateRejected` | `nonFinite` */
  toOnnx: () => Promise<{ bytes: Uint8Array; featureDim: number; metrics: Record<string, Json> }>;
}

/**
 * Reads a user's own network: `network.onnx`, or the `model.json` of a saved tfjs LayersModel with its weight files beside it.
 * Its preprocessing stands in `network.onnx.json` or `model.json.json`:
 * `{"resizeShorterSide":256,"size":224,"mean":[…],"std":[…],"background":[255,255,255]}`.
 * @throws LookalikeError `notFound` | `invalidInput`
 */
export async function readOwnBackbone(
  path: string,
  config: Pick<Config, 'backend' | 'cacheDir'>,
): Promise<OwnBackbone> {
  return extname(path) === '.json' ? readOwnTfjs(path, config) : readOwnOnnx(path);
}

async function readOwnOnnx(path: string): Promise<OwnBackbone> {
  const original = await read(path, 'an ONNX network');
  const preprocessing = await readPreprocessing(path);
  return {
    name: basename(path, '.onnx'),
    inputs: { onnx: sha256Of(original) },
    preprocessing,
    toOnnx: async () => ({ ...(await adoptOnnx(original, preprocessing)), metrics: {} }),
  };
}

async function readOwnTfjs(path: string, config: Pick<Config, 'backend' | 'cacheDir'>): Promise<OwnBackbone> {
  const text = await read(path, 'a saved tfjs model');
  const saved = await readTfjs(path, parseJson(text.toString('utf8'), path));
  const preprocessing = await readPreprocessing(path);
  // Nearly all are called model.json: their folder says more.
  const name = basename(path) === 'model.json' ? basename(dirname(resolve(path))) : basename(path, '.json');
  return {
    name,
    inputs: { topology: sha256Of(text), weights: sha256Of(saved.weights) },
    preprocessing,
    toOnnx: async () => {
      const { tf } = await loadTensorFlow(config);
      const { bytes, featureDim, numChecked } = await exportTfjs(tf, saved, name, preprocessing);
      return { bytes, featureDim, metrics: { imagesCheckedAgainstTfjs: numChecked } };
    },
  };
}

async function readPreprocessing(path: string): Promise<Preprocessing> {
  const text = (await read(`${path}.json`, 'its preprocessing')).toString('utf8');
  const parsed = PreprocessingSchema.safeParse(parseJson(text, `${path}.json`));
  if (!parsed.success) {
    throw new LookalikeError('invalidInput', `${path}.json is not a preprocessing.\n${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}

async function read(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new LookalikeError('notFound', `Expected ${what} at ${path}: ${errorMessage(error)}.`, {}, { cause: error });
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words quote the file, which may be a secret named by mistake, and run failures are shown to others.
    throw new LookalikeError(
      'invalidInput',
      `Expected JSON in ${path}, got something else. Check that it is the right file.`,
    );
  }
}

/** How a derivation names bytes that are no artefact. */
export function sha256Of(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
