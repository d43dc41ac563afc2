import { parentPort } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { instantiateKernels } from '../../lib/ann/kernels/kernels.ts';
import type { KernelExports } from '../../lib/ann/kernels/kernels.ts';
import { encodeModel } from '../../lib/export/onnx-proto.ts';
import type { ProductReply, ProductRequest } from './block-product.ts';

/** rows [m, k] times queries [n, k] transposed: the one node of the graph. */
function productGraph(): Uint8Array {
  const matrix = (name: string, height: string, width: string) => ({
    name,
    type: { tensor_type: { elem_type: 1, shape: { dim: [{ dim_param: height }, { dim_param: width }] } } },
  });
  return encodeModel({
    ir_version: 8,
    opset_import: [{ domain: '', version: 13 }],
    graph: {
      name: 'product',
      node: [
        {
          ...{ name: 'product', op_type: 'Gemm', input: ['rows', 'queries'], output: ['out'] },
          attribute: [{ name: 'transB', type: 2, i: 1 }],
        },
      ],
      initializer: [],
      input: [matrix('rows', 'm', 'k'), matrix('queries', 'n', 'k')],
      output: [matrix('out', 'm', 'n')],
    },
  });
}

// One core per thread: cores are filled with blocks, not with slices of one block.
const session = InferenceSession.create(productGraph(), {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionProviders: ['cpu'],
  logSeverityLevel: 3,
});

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
    for (const { rows, numRows, queries, numQueries, out, then } of request.steps) {
      const matrix = (address: number, height: number, width: number): Tensor =>
        new Tensor('float32', new Float32Array(memory.buffer, address, height * width), [height, width]);
      const feeds = { rows: matrix(rows, numRows, dim), queries: matrix(queries, numQueries, dim) };
      // Given where to write, the runtime copies nothing.
      await (await session).run(feeds, { out: matrix(out, numRows, numQueries) });
      run[then.name as keyof KernelExports](...then.args);
    }
    return {};
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
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
    const loaded = session.catch(() => undefined);
    last = last.then(() => loaded).then(() => parentPort!.close());
    return;
  }
  last = last.then(async () => parentPort!.postMessage(await answer(request)));
});
