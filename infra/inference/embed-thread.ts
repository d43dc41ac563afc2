/** Entry of an embedding thread: decodes pictures and runs graphs, one request per message. */
import { parentPort, workerData } from 'node:worker_threads';
import type { PixelBox } from '../../contracts/crop.ts';
import { LookalikeError, errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import { preprocessViews } from '../../lib/images/preprocess.ts';
import type { ExecutionProvider } from '../compute/execution-provider.ts';
import type {
  AnswerMessage,
  EmbedAnswer,
  EmbedRequest,
  ModelFiles,
  ReadyMessage,
  RequestMessage,
  ThreadAnswer,
  ThreadRequest,
} from './protocol.ts';
import { Sessions } from './sessions.ts';

const sessions = new Sessions((workerData as { provider: ExecutionProvider }).provider);

parentPort!.on('message', ({ id, request }: RequestMessage) => {
  void answer(request).then((result) => {
    parentPort!.postMessage({ id, answer: result } satisfies AnswerMessage, transferables(result));
  });
});
parentPort!.postMessage({ ready: true } satisfies ReadyMessage);

async function answer(request: ThreadRequest): Promise<ThreadAnswer> {
  try {
    if (request.kind === 'embed') {
      return { kind: 'embedded', answer: await embed(request) };
    }
    return { kind: 'headApplied', vectors: await applyHead(request.model, request.features, request.numRows) };
  } catch (error) {
    const code = isLookalikeError(error) ? error.code : 'unavailable';
    const reason = errorMessage(error);
    const isPicture = code === 'imageRejected' || (code === 'nonFinite' && request.kind === 'embed');
    return isPicture ? { kind: 'rejected', reason } : { kind: 'failed', code, message: reason };
  }
}

/**
 * Decoding happens in the runtime's own threads and inference in this one, so while one picture is inferred the next
 * one, sent ahead, is being decoded.
 */
async function embed({ model, image, seeds, crop }: EmbedRequest): Promise<EmbedAnswer> {
  const started = performance.now();
  let decoded = started;
  const onDecoded = (): void => void (decoded = performance.now());
  let box: PixelBox | undefined;
  const onCrop = (resolved: PixelBox): void => void (box = resolved);
  const options = { crop, onCrop, allocate: takeBuffer, onDecoded };
  const tensors = await preprocessViews(image, model.preprocessing, seeds, options);
  const preprocessed = performance.now();
  const { size } = model.preprocessing;
  const vectors: Float32Array[] = [];
  for (const tensor of tensors) {
    const features = await sessions.run(model.backbone, tensor, [3, size, size]);
    const vector = model.head === null ? features : await sessions.run(model.head, features, [model.featureDim]);
    spareBuffers.push(tensor);
    vectors.push(expectUsable(vector, model));
  }
  return {
    vectors,
    decodeMs: decoded - started,
    preprocessMs: preprocessed - decoded,
    inferMs: performance.now() - preprocessed,
    ...(box !== undefined && { crop: box }),
  };
}

/** Input tensors that were run and may be overwritten; as many as this thread ever had in flight. */
const spareBuffers: Float32Array[] = [];

function takeBuffer(length: number): Float32Array {
  const at = spareBuffers.findIndex((buffer) => buffer.length === length);
  return at < 0 ? new Float32Array(length) : spareBuffers.splice(at, 1)[0]!;
}

async function applyHead(model: ModelFiles, features: Float32Array, numRows: number): Promise<Float32Array> {
  const vectors = new Float32Array(numRows * model.dim);
  for (let row = 0; row < numRows; row++) {
    const input = features.slice(row * model.featureDim, (row + 1) * model.featureDim);
    const vector = model.head === null ? input : await sessions.run(model.head, input, [model.featureDim]);
    vectors.set(expectUsable(vector, model), row * model.dim);
  }
  return vectors;
}

function expectUsable(vector: Float32Array, model: ModelFiles): Float32Array {
  if (vector.length !== model.dim) {
    throw new LookalikeError(
      'dimensionMismatch',
      `Expected the model to give ${model.dim} values, got ${vector.length}.`,
    );
  }
  if (!vector.every(Number.isFinite)) {
    throw new LookalikeError('nonFinite', 'Expected finite values from the model, got NaN or infinity.');
  }
  return vector;
}

/** Answers own their memory, so it moves instead of being copied. */
function transferables(answer: ThreadAnswer): ArrayBuffer[] {
  if (answer.kind === 'headApplied') return [answer.vectors.buffer as ArrayBuffer];
  return [];
}
