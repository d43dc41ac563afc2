import { parentPort } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { instantiateKernels } from '../../lib/ann/kernels/kernels.ts';
import type { KernelExports } from '../../lib/ann/kernels/kernels.ts';
import { encodeModel } from '../../lib/export/onnx-proto.ts';
import type { ProductReply, ProductRequest } from './block-product.ts';

/** Of ONNX. */
const TYPES = { float32: { rows: 1, queries: 1, out: 1 }, bytes: { rows: 2, queries: 3, out: 6 } } as const;

/** One node: rows [m, k] times queries, f32 [n, k] transposed or i8 [k, n]. */
function productGraph(format: 'float32' | 'bytes'): Uint8Array {
  const isBytes = format === 'bytes';
  const matrix = (name: string, type: number, height: string, width: string) => ({
    name,
    type: { tensor_type: { elem_type: type, shape: { dim: [{ dim_param: height }, { dim_param: width }] } } },
  });
  const types = isBytes ? TYPES.bytes : TYPES.float32;
  const gemm = { op_type: 'Gemm', input: ['rows', 'queries'], attribute: [{ name: 'transB', type: 2, i: 1 }] };
  const integers = { op_type: 'MatMulInteger', input: ['rows', 'queries', 'raised'] };
  return encodeModel({
    ir_version: 8,
    opset_import: [{ domain: '', version: 13 }],
    graph: {
      name: 'product',
      node: [{ name: 'product', ...(isBytes ? integers : gemm), output: ['out'] }],
      initializer: isBytes ? [{ name: 'raised', dims: [], data_type: types.rows, raw_data: Uint8Array.of(128) }] : [],
      input: [
        matrix('rows', types.rows, 'm', 'k'),
        isBytes ? matrix('queries', types.queries, 'k', 'n') : matrix('queries', types.queries, 'n', 'k'),
      ],
      output: [matrix('out', types.out, 'm', 'n')],
    },
  });
}

const open = (format: 'float32' | 'bytes'): Promise<InferenceSession> =>
  InferenceSession.create(productGraph(format), {
    // One core per thread: cores are filled with blocks, not with slices of one block.
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionProviders: ['cpu'],
    logSeverityLevel: 3,
  });
const sessions = Promise.all([open('float32'), open('bytes')]);

interface Place {
  memory: WebAssembly.Memory;
  run: KernelExports;
}
/** Of each index that steps came for; `forget` drops one with its index. */
const places = new Map<number, Place>();

function placeOf({ memoryId, memory }: Extract<ProductRequest, { kind: 'steps' }>): Place {
  let place = places.get(memoryId);
  if (place === undefined) {
    const shared = memory as WebAssembly.Memory;
    places.set(memoryId, (place = { memory: shared, run: instantiateKernels(shared) }));
  }
  return place;
}

async function answer(request: Extract<ProductRequest, { kind: 'steps' }>): Promise<ProductReply> {
  try {
    const { memory, run } = placeOf(request);
    const { dim } = request;
    const [floats, bytes] = await sessions;
    for (const { format, rows, numRows, queries, numQueries, out, then } of request.steps) {
      const [r, q, o] = [numRows * dim, numQueries * dim, numRows * numQueries];
      const { buffer } = memory;
      const shape = [numRows, numQueries];
      if (format === 'bytes') {
        const feeds = {
          rows: new Tensor('uint8', new Uint8Array(buffer, rows, r), [numRows, dim]),
          queries: new Tensor('int8', new Int8Array(buffer, queries, q), [dim, numQueries]),
        };
        free(await bytes.run(feeds, { out: new Tensor('int32', new Int32Array(buffer, out, o), shape) }));
      } else {
        const feeds = {
          rows: new Tensor('float32', new Float32Array(buffer, rows, r), [numRows, dim]),
          queries: new Tensor('float32', new Float32Array(buffer, queries, q), [numQueries, dim]),
        };
        free(await floats.run(feeds, { out: new Tensor('float32', new Float32Array(buffer, out, o), shape) }));
      }
      run[then.name as keyof KernelExports](...then.args);
    }
    return {};
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * The runtime writes to where it is told, and answers with a copy all the same. Left to the collector of garbage, copies cost
 * as much as products; Node before 22 cannot give them back.
 */
function free({ out }: InferenceSession.OnnxValueMapType): void {
  const { buffer } = (out as Tensor).data as Uint8Array<ArrayBuffer>;
  (buffer as Partial<ArrayBuffer>).transfer?.(0);
}

/** Requests are answered in order: each begins when the one before it has ended. */
let last: Promise<unknown> = Promise.resolve();
parentPort!.on('message', (request: ProductRequest) => {
  if (request.kind === 'forget') {
    places.delete(request.memoryId);
    return;
  }
  if (request.kind === 'close') {
    // Not before the session is there: a thread that ends while the runtime loads takes the process with it.
    const loaded = sessions.catch(() => undefined);
    last = last.then(() => loaded).then(() => parentPort!.close());
    return;
  }
  last = last.then(async () => parentPort!.postMessage(await answer(request)));
});
