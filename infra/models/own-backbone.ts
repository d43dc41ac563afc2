import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { Preprocessing } from '../../contracts/model.ts';
import { PreprocessingSchema } from './model-summary.ts';
import { adoptOnnx } from './onnx-backbone.ts';

export interface OwnBackbone {
  name: string;
  original: Uint8Array;
  bytes: Uint8Array;
  featureDim: number;
  preprocessing: Preprocessing;
}

/**
 * Reads `network.onnx` and the preprocessing that stands beside it in `network.onnx.json`:
 * `{"resizeShorterSide":256,"size":224,"mean":[…],"std":[…],"background":[255,255,255]}`.
 * @throws LookalikeError `notFound` | `invalidInput`
 */
export async function readOwnBackbone(path: string): Promise<OwnBackbone> {
  const original = await read(path, 'an ONNX network');
  const text = (await read(`${path}.json`, 'its preprocessing')).toString('utf8');
  const preprocessing = PreprocessingSchema.safeParse(parseJson(text, `${path}.json`));
  if (!preprocessing.success) {
    throw new LookalikeError(
      'invalidInput',
      `${path}.json is not a preprocessing.\n${z.prettifyError(preprocessing.error)}`,
    );
  }
  const { bytes, featureDim } = await adoptOnnx(original, preprocessing.data);
  return { name: basename(path, '.onnx'), original, bytes, featureDim, preprocessing: preprocessing.data };
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
  } catch (error) {
    throw new LookalikeError('invalidInput', `Expected JSON in ${path}: ${errorMessage(error)}.`, {}, { cause: error });
  }
}
