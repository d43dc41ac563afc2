import { readFile } from 'node:fs/promises';
import { dirname, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { Preprocessing } from '../../contracts/model.ts';
import { exportOnnx } from '../../lib/export/export-onnx.ts';
import { VALUES } from '../../lib/export/head.ts';
import type { LayersModel, Tf } from '../../lib/nn/tf.ts';
import { checkAgainstTf } from './check-against-tfjs.ts';

/** The format that `model.save` of tfjs and its converter from Keras write; `modelTopology` is tfjs's own affair. */
const Saved = z.object({
  format: z.string().optional(),
  modelTopology: z.looseObject({}),
  weightsManifest: z.array(
    z.object({
      paths: z.array(z.string().min(1)),
      weights: z.array(
        z.looseObject({
          name: z.string(),
          shape: z.array(z.int().min(0)),
          dtype: z.enum(['float32', 'int32', 'bool', 'string', 'complex64']),
        }),
      ),
    }),
  ),
});

/** A saved LayersModel: `model.json` as parsed, and the bytes of the weight files that it names, one after the other. */
export interface SavedTfjs {
  model: z.output<typeof Saved>;
  weights: Uint8Array;
}

/** @throws LookalikeError `notFound` | `invalidInput` */
export async function readTfjs(path: string, json: unknown): Promise<SavedTfjs> {
  const parsed = Saved.safeParse(json);
  if (!parsed.success || (parsed.data.format ?? 'layers-model') !== 'layers-model') {
    const why = parsed.success ? `it is a ${parsed.data.format}` : z.prettifyError(parsed.error);
    throw new LookalikeError(
      'invalidInput',
      `Expected a saved tfjs LayersModel (format "layers-model") at ${path}: ${why}. Save it again, or bring it as ONNX.`,
    );
  }
  const folder = dirname(resolve(path));
  const files = parsed.data.weightsManifest.flatMap(({ paths }) => paths);
  const bytes = await Promise.all(files.map((file) => readWeights(folder, file)));
  return { model: parsed.data, weights: Buffer.concat(bytes) };
}

async function readWeights(folder: string, file: string): Promise<Buffer> {
  const path = resolve(folder, file);
  // A model is a folder: it must not make bytes from elsewhere on this machine into weights.
  if (relative(folder, path).split(sep)[0] === '..') {
    throw new LookalikeError('invalidInput', `Expected weights inside ${folder}, got "${file}".`);
  }
  try {
    return await readFile(path);
  } catch (error) {
    throw new LookalikeError('notFound', `Expected weights at ${path}: ${errorMessage(error)}.`, {}, { cause: error });
  }
}

/**
 * The network as `backbone.onnx`, compared with tfjs on real pictures. Input [size, size, 3], output one row of features.
 * @throws LookalikeError `invalidInput` what tfjs or the exporter cannot take | `gateRejected` | `nonFinite`
 */
export async function exportTfjs(
  tf: Tf,
  saved: SavedTfjs,
  name: string,
  preprocessing: Preprocessing,
): Promise<{ bytes: Uint8Array; featureDim: number; numChecked: number }> {
  const model = await load(tf, saved);
  try {
    const featureDim = expectShapes(model, preprocessing.size);
    const bytes = exportOnnx(model, { name, input: VALUES.image, output: VALUES.features });
    return { bytes, featureDim, numChecked: await checkAgainstTf(tf, model, bytes, preprocessing) };
  } finally {
    model.dispose();
  }
}

async function load(tf: Tf, { model, weights }: SavedTfjs): Promise<LayersModel> {
  const weightSpecs = model.weightsManifest.flatMap((group) => group.weights) as Parameters<
    Tf['io']['decodeWeights']
  >[1];
  const artifacts = { modelTopology: model.modelTopology, weightSpecs, weightData: new Uint8Array(weights).buffer };
  try {
    return await tf.loadLayersModel(tf.io.fromMemory(artifacts));
  } catch (error) {
    throw refused(`tfjs does not load it: ${errorMessage(error)}`, error);
  }
}

function expectShapes({ inputs, outputs }: LayersModel, size: number): number {
  const shapes = [...inputs, ...outputs].map(({ shape }) => shape.slice(1));
  const [input, output] = shapes;
  const fits = shapes.length === 2 && input!.join() === [size, size, 3].join() && output!.length === 1;
  const featureDim = output?.[0];
  if (!fits || typeof featureDim !== 'number') {
    const got = [inputs, outputs].map((ends) =>
      ends.map(({ shape }) => `[${shape.slice(1).join(', ')}]`).join(' and '),
    );
    throw refused(
      `Expected one input of [${size}, ${size}, 3] and one output of one side, got ${got[0]} and ${got[1]}`,
    );
  }
  return featureDim;
}

function refused(message: string, cause?: unknown): LookalikeError {
  return new LookalikeError('invalidInput', `The tfjs model cannot serve as a backbone. ${message}.`, {}, { cause });
}
