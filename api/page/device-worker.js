/* global self, createImageBitmap, OffscreenCanvas */
import * as ort from '/page/ort/ort.wasm.min.mjs';
import { planCrop } from './shared/crop.js';
import { planResample } from './shared/resample-plan.js';
import { resample } from './shared/resample.js';

/** Embeds pictures with ONNX Runtime in WebAssembly. From pixels to tensor it runs the servers' own module. */

/** What the servers refuse too. */
const MAX_PIXELS = 50_000_000;
const MAX_ASPECT_RATIO = 50;

ort.env.wasm.wasmPaths = '/page/ort/';
ort.env.logLevel = 'error';

let session;
let preprocessing;

self.addEventListener('message', async ({ data: { id, ...request } }) => {
  try {
    self.postMessage({ id, result: request.kind === 'load' ? await load(request) : await embed(request) });
  } catch (error) {
    self.postMessage({ id, problem: error.message ?? String(error) });
  }
});

async function load(request) {
  await session?.release();
  session = undefined;
  session = await ort.InferenceSession.create(request.bytes, { executionProviders: ['wasm'] });
  preprocessing = request.preprocessing;
}

async function embed({ file, crop }) {
  const { size } = preprocessing;
  const image = new ort.Tensor('float32', await tensorOf(file, crop), [1, 3, size, size]);
  const { embedding } = await session.run({ image });
  const vector = Float32Array.from(embedding.data);
  if (!vector.every(Number.isFinite)) throw new Error('Expected finite values from the model, got NaN or infinity.');
  return vector;
}

/** CHW f32 [3, size, size], of the part of the picture that `crop` names in shares, or of all of it. */
async function tensorOf(file, crop) {
  const bitmap = await decode(file);
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_ASPECT_RATIO * Math.min(width, height)) {
    throw new Error(
      `Expected at most ${MAX_PIXELS} pixels and sides of at most ${MAX_ASPECT_RATIO}:1, got ${width} x ${height}.`,
    );
  }
  const box = crop ? planCrop(crop, width, height, MAX_ASPECT_RATIO) : { left: 0, top: 0, width, height };
  if (box.problem !== undefined) throw new Error(box.problem);
  const plan = planResample(box.width, box.height, preprocessing.resizeShorterSide, preprocessing.size);
  const tensor = new Float32Array(3 * preprocessing.size ** 2);
  resample(regionOf(bitmap, box, plan), plan, preprocessing, tensor);
  bitmap.close();
  return tensor;
}

/** Upright, in sRGB. */
async function decode(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: 'from-image' });
  } catch {
    throw new Error(`This browser cannot read the picture (${file.type || 'of unknown type'}).`);
  }
}

/** The part of the picture that the plan uses, as RGB; what is transparent shows the background. */
function regionOf(bitmap, { left, top }, { columns, rows }) {
  const [width, height] = [columns.length, rows.length];
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  context.fillStyle = `rgb(${preprocessing.background.join(' ')})`;
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, -left - columns.first, -top - rows.first);
  const pixels = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = pixels[from];
    data[to + 1] = pixels[from + 1];
    data[to + 2] = pixels[from + 2];
  }
  return { data, width, height };
}
